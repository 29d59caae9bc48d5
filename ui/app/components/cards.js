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

export default function ({ parentElement, data, setTriggerValue }) {
  const grid = parentElement.querySelector(".grid");
  senders.set(grid, setTriggerValue); // cards outlive the call that made them
  const send = (...message) => senders.get(grid)(...message);
  const fresh = JSON.stringify(data.items.map(({ open, ...rest }) => rest));
  if (grid.dataset.shown !== fresh) {
    grid.replaceChildren(...data.items.map((item) => card(item, send)));
    grid.dataset.shown = fresh;
  }
  data.items.forEach((item, index) => grid.children[index].classList.toggle("open", item.open));
}
