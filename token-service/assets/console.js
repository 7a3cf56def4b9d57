// What the pages of the console do beyond links and forms: charts from the tables beside them, copying, and the focus.
"use strict";

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const seconds = (text) => Date.parse(text) / 1000;

/** Times in seconds, then the columns of a table: every interval of the chart, whether or not the table has it. */
function columns(table, { from, until, seconds: interval, nothing }) {
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const rows = new Map([...table.tBodies[0].rows].map((row) => [seconds(row.querySelector("time").dateTime), row.cells]));
  const at = [];
  for (let time = seconds(from); time < seconds(until); time += Number(interval)) at.push(time);
  const empty = nothing === undefined ? null : Number(nothing);
  const value = (time, column) => (rows.has(time) ? Number(rows.get(time)[column].textContent) : empty);
  return { names, data: [at, ...names.slice(1).map((_, index) => at.map((time) => value(time, index + 1)))] };
}

function draw(place) {
  const { names, data } = columns(document.getElementById(place.dataset.table), place.dataset);
  const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line") } };
  const series = names.slice(1).map((label, index) => ({
    label,
    stroke: color(`--series-${index + 1}`),
    width: 2,
    dash: index === 0 ? undefined : [8, 2 + 3 * index],
    // A value between gaps has no line to be seen by.
    points: { show: place.dataset.nothing === undefined, size: 5 },
  }));
  place.replaceChildren();
  const options = { width: place.clientWidth, height: 220, series: [{}, ...series], axes: [axis, { ...axis, size: 56 }] };
  const chart = new uPlot(options, data, place);
  place.chart = chart;
  // The table says the same to those who do not see.
  place.setAttribute("aria-hidden", "true");
  new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height: 220 })).observe(place);
}

function prepare(root) {
  root.querySelectorAll(".chart").forEach((place) => place.chart || draw(place));
  root.querySelectorAll("[data-copies]").forEach((button) => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
      button.textContent = "Copied";
    });
  });
}

document.addEventListener("htmx:load", (event) => prepare(event.detail.elt));

// A refusal is read out, and the page that comes next begins at its beginning.
document.addEventListener("htmx:afterSwap", (event) => {
  const target = event.detail.target;
  if (target.id === "problems") target.focus();
  else if (event.detail.boosted) {
    window.scrollTo(0, 0);
    document.getElementById("content")?.focus({ preventScroll: true });
  }
  document.querySelectorAll(".log").forEach((log) => {
    [...log.tBodies].slice(60).forEach((body) => body.remove());
  });
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  document.querySelectorAll(".chart").forEach(draw);
});
