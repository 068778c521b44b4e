// What scripts make nicer; every page works without them.
"use strict";

// Copy buttons: <span class="copy"><code id="x">…</code><button type="button" data-copy="x" hidden>Copy</button></span>
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copy);
    await navigator.clipboard.writeText(source.dataset.value || source.value || source.textContent.trim());
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  });
}

// Times in the reader's own zone; the title keeps UTC.
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) {
    time.textContent = at.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  }
}

// A form is sent once: a second click while the first is under way does nothing.
for (const form of document.querySelectorAll("form[method=post]:not([data-again])")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Addresses as removable chips, kept in the textarea that is sent: <div data-chips="id_of_textarea"></div>
for (const box of document.querySelectorAll("[data-chips]")) {
  const area = document.getElementById(box.dataset.chips);
  const entries = () => area.value.split(/[\s,;]+/).filter(Boolean);
  const draw = () => {
    box.replaceChildren(...entries().map((entry) => {
      const chip = document.createElement("span");
      const remove = document.createElement("button");
      chip.className = "chip";
      chip.textContent = entry;
      remove.type = "button";
      remove.textContent = "×";
      remove.setAttribute("aria-label", `Remove ${entry}`);
      remove.addEventListener("click", () => {
        area.value = entries().filter((other) => other !== entry).join(", ");
        draw();
      });
      chip.append(remove);
      return chip;
    }));
  };
  area.addEventListener("input", draw);
  draw();
}

// "/" goes to the search box, as long as nothing is being typed.
addEventListener("keydown", (event) => {
  const box = document.querySelector("[data-search]");
  if (event.key === "/" && box && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    box.focus();
  }
});

// After a refusal the first field that is wrong has the focus, so that its sentence is read at once.
const wrong = document.querySelector("main [aria-invalid=true]");
if (wrong) wrong.focus();
