// A box drawn on a picture, reported in fractions of it.

const SMALLEST = 0.02; // of a side: less is a slip of the hand
const senders = new WeakMap();

export default function ({ parentElement, data, setTriggerValue }) {
  const $ = (selector) => parentElement.querySelector(selector);
  const image = $("img"), stage = $(".stage"), box = $(".box"), go = $(".go");
  const clear = () => { box.hidden = true; go.disabled = true; };
  if (image.getAttribute("src") !== data.src) {
    image.src = data.src;
    clear();
  }
  const known = senders.has(parentElement);
  senders.set(parentElement, setTriggerValue);
  if (known) return;
  const send = (value) => senders.get(parentElement)("action", value);

  let from = null, chosen = null;
  const at = (event) => {
    const area = stage.getBoundingClientRect();
    const part = (value, start, size) => Math.min(1, Math.max(0, (value - start) / size));
    return [part(event.clientX, area.left, area.width), part(event.clientY, area.top, area.height)];
  };
  stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); from = at(event); clear(); });
  stage.addEventListener("pointermove", (event) => {
    if (!from) return;
    const to = at(event);
    const [x, y] = [Math.min(from[0], to[0]), Math.min(from[1], to[1])];
    chosen = [x, y, Math.abs(from[0] - to[0]), Math.abs(from[1] - to[1])];
    ["left", "top", "width", "height"].forEach((side, i) => { box.style[side] = `${chosen[i] * 100}%`; });
    box.hidden = false;
    go.disabled = chosen[2] < SMALLEST || chosen[3] < SMALLEST;
  });
  stage.addEventListener("pointerup", () => { from = null; });
  go.addEventListener("click", () => send({ name: "box", box: chosen }));
  $(".cancel").addEventListener("click", () => send({ name: "cancel" }));
}
