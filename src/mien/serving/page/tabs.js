// Tabs as screen readers and keyboards expect them.

export function tabs(list, onLeave) {
  const buttons = [...list.querySelectorAll("[role=tab]")];
  const panel = (tab) => document.getElementById(tab.getAttribute("aria-controls"));
  const choose = (chosen, focus) => {
    for (const tab of buttons) {
      const on = tab === chosen;
      if (!on && tab.getAttribute("aria-selected") === "true") onLeave(panel(tab).id);
      tab.setAttribute("aria-selected", on);
      tab.tabIndex = on ? 0 : -1;
      panel(tab).hidden = !on;
    }
    if (focus) chosen.focus();
    history.replaceState(null, "", `#${panel(chosen).id}`);
  };
  for (const [index, tab] of buttons.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const to = event.key === "Home" ? 0 : event.key === "End" ? buttons.length - 1 : step && (index + step + buttons.length) % buttons.length;
      if (to === undefined) return;
      event.preventDefault();
      choose(buttons[to], true);
    });
  }
  const named = buttons.find((tab) => `#${tab.getAttribute("aria-controls")}` === location.hash);
  if (named) choose(named);
}

export function dropzone(zone, input, onFiles) {
  input.addEventListener("change", () => {
    if (input.files.length) onFiles([...input.files]);
    input.value = "";
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) onFiles([...event.dataTransfer.files]);
    });
  }
}
