// What a script makes nicer on the checkout; every step works without it.
"use strict";

const box = document.getElementById("card");
const told = document.getElementById("told");
let offset = 0; // between the server's clock and this browser's, which may be wrong by hours
let asking = false;

const prepare = () => {
  for (const button of box.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).dataset.value);
      const before = button.textContent;
      button.textContent = button.dataset.done;
      setTimeout(() => { button.textContent = before; }, 1500);
    });
  }
  const clock = box.querySelector("[data-now]");
  if (clock) offset = Number(clock.dataset.now) * 1000 - Date.now();
  const back = box.querySelector("[data-returns]");
  if (back && !matchMedia("(prefers-reduced-motion: reduce)").matches) {
    setTimeout(() => { location.assign(back.href); }, Number(back.dataset.returns) * 1000);
  }
  count();
};

const count = () => {
  const clock = box.querySelector("[data-until]");
  if (!clock) return;
  const left = Math.max(0, Math.round((Number(clock.dataset.until) * 1000 - Date.now() - offset) / 1000));
  const hours = Math.floor(left / 3600);
  const rest = `${String(Math.floor(left / 60) % 60).padStart(2, "0")}:${String(left % 60).padStart(2, "0")}`;
  clock.textContent = hours ? `${hours}:${rest}` : rest;
};

// Asked again each second: 304 while nothing has changed, else the card as it is now.
const look = async () => {
  if (asking || document.hidden) return;
  const shown = box.firstElementChild;
  asking = true;
  try {
    const answer = await fetch(`${box.dataset.watch}&mark=${shown.dataset.mark}`, { cache: "no-store" });
    if (answer.status !== 200) return;
    const next = new DOMParser().parseFromString(await answer.text(), "text/html").body.firstElementChild;
    const isTyping = box.contains(document.activeElement) && document.activeElement.matches("input");
    if (!next || (isTyping && next.dataset.stage === shown.dataset.stage)) return;
    const isNews = next.dataset.stage !== shown.dataset.stage;
    box.replaceChildren(next);
    prepare();
    if (isNews) told.textContent = box.querySelector("h2").textContent;
  } catch {
    // The network is away; the next second asks again.
  } finally {
    asking = false;
  }
};

prepare();
setInterval(count, 1000);
setInterval(look, 1000);
document.addEventListener("visibilitychange", look);
