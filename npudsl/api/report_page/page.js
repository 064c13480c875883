"use strict";
// Everything below only adds comfort: without a script the page shows the same figures.

const baseline = 190;

function showMetric(section, metric) {
  for (const bar of section.querySelectorAll(".chart rect.bar")) {
    const height = Math.max(1, Number(bar.dataset[metric]));
    bar.setAttribute("height", height);
    bar.setAttribute("y", baseline - height);
  }
  for (const tick of section.querySelectorAll("text.tick")) {
    tick.textContent = tick.dataset[metric];
  }
  for (const button of section.querySelectorAll("button[data-metric]")) {
    button.setAttribute("aria-pressed", String(button.dataset.metric === metric));
  }
}

function sortBy(header) {
  const table = header.closest("table");
  const column = Array.from(header.parentNode.children).indexOf(header);
  const descending = header.getAttribute("aria-sort") === "ascending";
  for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const value = (row) => row.children[column].dataset.value;
  const numeric = header.classList.contains("n");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows).sort((left, right) => {
    const [a, b] = [value(left), value(right)];
    const order = numeric ? Number(a) - Number(b) : a.localeCompare(b);
    return descending ? -order : order;
  });
  body.append(...rows);
}

for (const section of document.querySelectorAll("section")) {
  const bar = section.querySelector(".metrics");
  if (!bar) continue;
  bar.hidden = false;
  for (const button of bar.querySelectorAll("button")) {
    button.addEventListener("click", () => showMetric(section, button.dataset.metric));
  }
}

for (const header of document.querySelectorAll("table.sortable th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = header.textContent;
  header.replaceChildren(button);
  button.addEventListener("click", () => sortBy(header));
}

function openTarget() {
  const row = document.getElementById(location.hash.slice(1));
  const details = row && row.querySelector("details");
  if (details) details.open = true;
}

window.addEventListener("hashchange", openTarget);
openTarget();
