// A video that stands on its second. The parent sends data; a new nonce means "stand on peak_s again", whatever the
// person did meanwhile. When the browser cannot play the file, short re-encoded clips of it take its place; their times
// are shifted so that everything shown stays in the time of the original, and a seek outside of one fetches another.

const INSIDE_FRAME_S = 0.001; // a seek to exactly a frame's time may land on the frame before it, by rounding
const players = new WeakMap();

const clock = (seconds) => {
  const tenths = Math.floor(Math.max(seconds, 0) * 10 + 0.5);
  const pad = (n) => String(n).padStart(2, "0");
  const minutes = Math.floor(tenths / 600), rest = tenths % 600;
  const tail = `${pad(Math.floor(rest / 10))}.${rest % 10}`;
  return minutes >= 60 ? `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${tail}` : `${pad(minutes)}:${tail}`;
};

function create(root) {
  const $ = (selector) => root.querySelector(selector);
  const video = $("video"), timeline = $(".timeline"), note = $(".note"), loop = $(".loop");
  const state = { data: null, send: null, src: null, clip: false, offset: 0, target: 0, looping: false, goOn: false };
  const offset = () => state.offset;
  const now = () => video.currentTime + offset();
  const length = () => state.data.duration_s || (Number.isFinite(video.duration) ? video.duration + offset() : 0);

  const say = (text) => { note.textContent = text; note.hidden = !text; };
  const draw = () => {
    if (!state.data) return;
    const total = length(), at = now();
    $(".clock").textContent = total ? `${clock(at)} / ${clock(total)}` : clock(at);
    $(".head").style.left = total ? `${Math.min(100, (at / total) * 100)}%` : "0";
    timeline.setAttribute("aria-valuenow", at.toFixed(1));
    timeline.setAttribute("aria-valuetext", clock(at));
    timeline.setAttribute("aria-valuemax", total.toFixed(1));
    if (state.looping && !video.paused && (at >= state.data.end_s || at < state.data.start_s - 0.5)) seek(state.data.start_s);
  };
  const seek = (at_s) => {
    state.target = at_s;
    if (state.clip && clipStart(at_s) !== state.offset && (at_s < state.offset || at_s >= state.offset + state.data.clip_s)) {
      return loadClip("Preparing a short copy of this part …");
    }
    if (video.readyState < 2) return; // "loadeddata" comes back to it
    const last = Number.isFinite(video.duration) ? Math.max(0, video.duration - 0.01) : Infinity;
    video.currentTime = Math.min(Math.max(0, at_s - state.offset + INSIDE_FRAME_S), last);
  };
  const load = (src, offset_s) => {
    state.src = src;
    state.offset = offset_s;
    video.controls = !state.clip; // the browser's own would show the clip's times
    video.src = src;
    video.load();
  };
  const clipStart = (at_s) => Math.max(0, Math.min(at_s - state.data.clip_s / 2, (state.data.duration_s || 0) - state.data.clip_s));
  const loadClip = (why) => {
    say(why);
    state.clip = true;
    load(`${state.data.clip_url}?t=${state.target.toFixed(6)}`, clipStart(state.target));
  };

  // "loadeddata", not "loadedmetadata": a seek before the first frame is on screen may be overtaken by that frame.
  video.addEventListener("loadeddata", () => {
    if (!video.videoWidth && !state.clip) return loadClip(unplayable());
    if (state.clip) setTimeout(() => say(""), 4000);
    seek(state.target);
    if (state.goOn) video.play().catch(() => {});
    state.goOn = false;
    place();
    draw();
  });
  video.addEventListener("error", () => {
    if (!state.data || !state.src) return;
    if (state.clip) return say("This file cannot be played here. Open it in a player on this machine.");
    loadClip(unplayable());
  });
  const unplayable = () => `This browser cannot play ${state.data.codec || "this file"}: short copies of it, without sound, are made as you go.`;
  // Chromium was seen to report a finished seek and keep showing the frame before it: then it is asked once more.
  const watch = (_now, frame) => { state.onScreen = frame.mediaTime; video.requestVideoFrameCallback(watch); };
  video.requestVideoFrameCallback?.(watch);
  video.addEventListener("seeked", () => setTimeout(() => {
    const stale = state.onScreen !== undefined && Math.abs(state.onScreen - video.currentTime) > 0.5;
    if (!stale || !video.paused || video.seeking || state.nudged === video.currentTime) return;
    video.currentTime += 0.0001;
    state.nudged = video.currentTime;
  }, 300));
  for (const event of ["timeupdate", "seeking", "seeked", "play", "pause"]) video.addEventListener(event, draw);
  const follow = () => { draw(); if (root.isConnected !== false && !video.paused) requestAnimationFrame(follow); };
  video.addEventListener("play", follow);

  const place = () => {
    const total = length(), { start_s, end_s, marks } = state.data;
    const put = (element, from, to) => {
      element.style.left = total ? `${(from / total) * 100}%` : "0";
      element.style.width = total ? `${(Math.max(0, to - from) / total) * 100}%` : "100%";
    };
    put($(".moment"), start_s, end_s);
    $(".others").replaceChildren(...marks.map((mark) => {
      const element = document.createElement("i");
      element.title = `Result ${mark.rank}: ${clock(mark.start_s)}–${clock(mark.end_s)}`;
      element.dataset.peak = mark.peak_s;
      put(element, mark.start_s, mark.end_s);
      return element;
    }));
    for (const step of steps) step.hidden = !marks.length;
  };
  // From result to result of this file, in order of time.
  const steps = [$(".before"), $(".after")];
  const go = (way) => {
    const peaks = [state.data, ...state.data.marks].map((one) => one.peak_s).sort((a, b) => a - b);
    const at = now(), rest = way > 0 ? peaks.filter((one) => one > at + 0.1) : peaks.filter((one) => one < at - 0.1).reverse();
    seek(rest.length ? rest[0] : way > 0 ? peaks[0] : peaks[peaks.length - 1]);
  };
  $(".before").addEventListener("click", () => go(-1));
  $(".after").addEventListener("click", () => go(1));
  const toPointer = (event) => {
    const box = timeline.getBoundingClientRect();
    seek(Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)) * length());
  };
  timeline.addEventListener("pointerdown", (event) => {
    if (event.target.dataset?.peak) return seek(Number(event.target.dataset.peak));
    timeline.setPointerCapture(event.pointerId);
    toPointer(event);
  });
  timeline.addEventListener("pointermove", (event) => { if (event.buttons & 1) toPointer(event); });
  timeline.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -0.1, ArrowUp: 0.1, PageDown: -10, PageUp: 10 }[event.key];
    if (event.key === " ") toggle();
    else if (event.key === "Home") seek(state.data.peak_s);
    else if (step) seek(now() + step);
    else return;
    event.preventDefault();
  });
  const toggle = () => (video.paused ? video.play().catch(() => {}) : video.pause());
  $(".play").addEventListener("click", toggle);
  video.addEventListener("click", () => { if (state.clip) toggle(); });
  for (const event of ["play", "pause"]) {
    video.addEventListener(event, () => { $(".play").textContent = video.paused ? "Play" : "Pause"; });
  }
  video.addEventListener("ended", () => { // of a clip: go on with the next one
    const next = state.offset + video.duration;
    if (!state.clip || video.loop || next > length() - 0.1) return;
    state.target = next;
    state.goOn = true;
    loadClip("Preparing a short copy of this part …");
  });
  $(".back").addEventListener("click", () => seek(state.data.peak_s));
  loop.addEventListener("click", () => {
    state.looping = !state.looping;
    loop.setAttribute("aria-pressed", String(state.looping));
    if (state.looping) { seek(state.data.start_s); video.play(); }
  });
  const act = (name) => { video.pause(); state.send("action", { name, at_s: now() }); };
  $(".similar").addEventListener("click", () => act("similar"));
  $(".part").addEventListener("click", () => act("part"));

  const reveal = () => {
    const { top, bottom } = video.getBoundingClientRect();
    if (top < 60 || bottom > innerHeight) $(".player").scrollIntoView({ block: "start", behavior: "smooth" });
  };
  const show = (data) => {
    const before = state.data;
    if (before && before.nonce === data.nonce) return;
    state.data = data;
    state.target = data.peak_s;
    video.setAttribute("aria-label", data.title);
    video.loop = data.loops;
    if (before && before.media === data.media) {
      seek(data.peak_s);
      place();
    } else {
      state.clip = data.clip_only;
      video.poster = data.poster;
      say("");
      if (data.clip_only) loadClip("");
      else load(data.src, 0);
      place();
    }
    setTimeout(reveal, 150); // once the page has its new layout
  };
  return { state, show, stop: () => { state.src = null; video.removeAttribute("src"); video.load(); } };
}

export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  let player = players.get(parentElement);
  if (!player) players.set(parentElement, (player = create(parentElement)));
  player.state.send = setTriggerValue;
  player.show(data);
  return () => { // taken off the page: let the connection go
    player.stop();
    players.delete(parentElement);
  };
}
