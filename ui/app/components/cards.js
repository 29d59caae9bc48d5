// Results as a grid. Every text is untrusted and goes in by textContent. Resting on a video plays its moment, muted.

const HOVER_MS = 350;
const senders = new WeakMap();

const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};

function preview(thumb, item) {
  let timer = 0, video = null;
  const stop = () => {
    clearTimeout(timer);
    if (!video) return;
    video.removeAttribute("src");
    video.load();
    video.remove();
    video = null;
  };
  thumb.addEventListener("pointerenter", (event) => {
    if (event.pointerType !== "mouse") return;
    timer = setTimeout(() => {
      video = make("video");
      video.muted = true;
      video.playsInline = true;
      video.style.visibility = "hidden";
      video.addEventListener("loadedmetadata", () => { if (video) video.currentTime = item.start_s; });
      video.addEventListener("seeked", () => { if (video) { video.style.visibility = ""; video.play().catch(() => {}); } }, { once: true });
      video.addEventListener("timeupdate", () => { if (video && video.currentTime > item.end_s) video.currentTime = item.start_s; });
      video.addEventListener("error", stop);
      video.src = item.src;
      thumb.insertBefore(video, thumb.children[1]);
    }, HOVER_MS);
  });
  thumb.addEventListener("pointerleave", stop);
}

function card(item, send) {
  const element = make("li", item.open ? "card open" : "card");
  const thumb = make("button", item.kind === "video" ? "thumb" : "thumb whole");
  thumb.type = "button";
  thumb.setAttribute("aria-label", item.label);
  const image = make("img");
  image.loading = "lazy";
  image.decoding = "async";
  image.alt = "";
  image.src = item.thumb;
  // What the 16:9 frame leaves free of a picture of another shape is filled with a blur of itself.
  image.addEventListener("load", () => thumb.style.setProperty("--picture", `url("${item.thumb}")`));
  thumb.append(image, make("span", "badge kind", item.kind));
  if (item.second) thumb.append(make("span", "badge second", item.second));
  if (item.share) {
    const position = make("span", "position"), mark = make("i");
    mark.style.left = `${item.share[0] * 100}%`;
    mark.style.width = `${item.share[1] * 100}%`;
    position.append(mark);
    thumb.append(position);
  }
  thumb.addEventListener("click", () => send("action", { name: "open", key: item.key }));
  if (item.kind === "video" && item.end_s !== null) preview(thumb, item);

  const name = make("div", "name", item.name);
  name.title = item.path;
  element.append(thumb, name);

  const facts = make("div", "row quiet");
  facts.append(make("span", "stretch", item.stretch), make("span", "grow"));
  if (item.score !== null) {
    const score = make("span", "score"), meter = make("span", "meter"), fill = make("i");
    fill.style.width = `${Math.round(item.score * 100)}%`;
    meter.append(fill);
    score.append(meter, make("span", "", `${Math.round(item.score * 100)} %`));
    score.title = "How likely this is what was asked";
    facts.append(score);
  }
  const reasons = make("div", "row quiet"), why = make("span", "why", item.why);
  why.title = item.why;
  const like = make("button", "like", "Similar");
  like.type = "button";
  like.setAttribute("aria-label", `Find what looks like ${item.name}`);
  like.addEventListener("click", () => send("action", { name: "similar", key: item.key }));
  reasons.append(why, like); // without a reason the link moves up a row
  element.append(facts);
  if (item.why) element.append(reasons);
  else facts.append(like);
  return element;
}

// The keys of the page. Arrows go through the cards as they lie; Enter is the button's own.
let page = null; // {grid, send, open} of the cards that were drawn last
const question = () => document.querySelector('[data-testid="stTextInput"] input');
const thumbs = () => [...page.grid.querySelectorAll(".thumb")];

function below(all, from, step) {
  const { left, top } = all[from].getBoundingClientRect();
  const row = all.map((one, index) => [one.getBoundingClientRect(), index])
    .filter(([box]) => Math.abs(box.left - left) < 8 && (box.top - top) * step > 8)
    .sort(([a], [b]) => Math.abs(a.top - top) - Math.abs(b.top - top));
  return row.length ? row[0][1] : from;
}

function onKey(event) {
  if (!page?.grid.isConnected || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.composedPath()[0], input = question();
  const typing = target.matches?.("input, textarea, select, [contenteditable], [role=slider], video");
  const all = thumbs(), at = all.indexOf(target);
  let next = -1;
  if (event.key === "/" && !typing && input) { input.focus(); input.select(); }
  else if (event.key === "Escape" && page.open && !(typing && target.value)) page.send("action", { name: "close" });
  else if (event.key === "ArrowDown" && target === input && all.length) next = 0;
  else if (at < 0 && target === document.body && event.key.startsWith("Arrow") && all.length) next = 0;
  else if (at < 0) return;
  else if (event.key === "ArrowRight") next = Math.min(at + 1, all.length - 1);
  else if (event.key === "ArrowLeft") next = Math.max(at - 1, 0);
  else if (event.key === "ArrowDown") next = below(all, at, 1);
  else if (event.key === "ArrowUp") { next = below(all, at, -1); if (next === at) { next = -1; input?.focus(); } }
  else return;
  event.preventDefault();
  if (next >= 0) { all[next].focus(); all[next].scrollIntoView({ block: "nearest", behavior: "smooth" }); }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const grid = parentElement.querySelector(".grid");
  senders.set(grid, setTriggerValue); // cards outlive the call that made them
  const send = (...message) => senders.get(grid)(...message);
  const fresh = JSON.stringify([data.split, data.items.map(({ open, ...rest }) => rest)]);
  if (grid.dataset.shown !== fresh) {
    const cards = data.items.map((item) => card(item, send));
    if (data.split !== null) cards.splice(data.split, 0, make("li", "split quiet", "Less likely: only the nearest"));
    grid.replaceChildren(...cards);
    grid.dataset.shown = fresh;
  }
  grid.querySelectorAll(".card").forEach((element, index) => element.classList.toggle("open", data.items[index].open));
  if (!page) document.addEventListener("keydown", onKey);
  page = { grid, send, open: data.items.some((item) => item.open) };
}
