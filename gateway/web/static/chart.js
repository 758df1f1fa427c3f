// A hydrograph: the observed line with its gaps, the thresholds' bands behind, rain from above, the tide beside.

import { h } from './dom.js';
import { t } from './words.js';
import { figure } from './figures.js';
import { levelOf } from './standing.js';

const ZONE = 'Asia/Tokyo';
const HEIGHT = 380;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** [[seconds], [value], [low], [high]] with a break in every gap. */
function broken(line) {
  const rows = line.points.map(([at, value, , low, high]) => [at / 1000, value, low, high]);
  for (const [from, to] of line.gaps) rows.push([(from + to) / 2000, null, null, null]);
  rows.sort((a, b) => a[0] - b[0]);
  return [0, 1, 2, 3].map((n) => rows.map((row) => row[n]));
}

/** What the sensor gave, as it gave it. */
const rawOf = ({ observations }) => {
  const rows = observations.filter((x) => x.raw !== null).reverse();
  return [rows.map((x) => Date.parse(x.observed) / 1000), rows.map((x) => x.raw)];
};

/** The table of all lines together: x, level, low, high, then rain, then the tide, then what the sensor gave. */
export function joined(library, { level, rain, tide, ones }) {
  const tables = [broken(level)];
  if (rain) tables.push(broken(rain).slice(0, 2));
  if (tide) tables.push(tide);
  if (ones) tables.push(rawOf(ones));
  const expand = 2; // a gap reaches to the values around it, whatever times the other lines have
  return library.join(tables, tables.map((table) => table.map(() => expand)));
}

/** The astronomical tide, where a channel of its deviation tells it: level less deviation, at the same times. */
export function tideOf(level, deviation) {
  const step = Math.max(level.resolution_ms, 60_000);
  const bins = new Map(deviation.points.map((p) => [Math.floor(p[0] / step), p[1]]));
  const rows = level.points
    .map(([at, value]) => [at / 1000, value, bins.get(Math.floor(at / step))])
    .filter(([, value, other]) => value !== null && other !== null && other !== undefined);
  return [rows.map((r) => r[0]), rows.map((r) => r[1] - r[2])];
}

/** The span of the axis: what was measured and the next threshold above it. */
function spanOf(facts, least, most) {
  if (least === null || least === undefined) [least, most] = [0, 1];
  const above = facts.thresholds.map((x) => x.value).filter((v) => v > most);
  const under = facts.thresholds.map((x) => x.value).filter((v) => v <= most && v > least - (most - least || 0.5));
  const top = Math.max(most, ...(above.length ? [Math.min(...above)] : []));
  const bottom = Math.min(least, ...under);
  const room = (top - bottom || 1) * 0.08;
  return [bottom - room, top + room];
}

/** Text with a rim of paper, read on any ground. */
function written(ctx, text, x, y) {
  ctx.save();
  ctx.lineJoin = 'round';
  ctx.lineWidth = 4 * devicePixelRatio;
  ctx.strokeStyle = colour('--paper');
  ctx.strokeText(text, x, y);
  ctx.fillText(text, x, y);
  ctx.restore();
}

/** Bands behind the line. */
function bands(u, facts) {
  const { ctx, bbox } = u;
  const marks = [...facts.thresholds].sort((a, b) => a.value - b.value);
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  marks.forEach((mark, n) => {
    const y = u.valToPos(mark.value, 'y', true);
    const upper = n + 1 < marks.length ? u.valToPos(marks[n + 1].value, 'y', true) : bbox.top;
    ctx.globalAlpha = 0.16;
    ctx.fillStyle = levelOf(mark.rank, mark.level).colour;
    ctx.fillRect(bbox.left, Math.max(bbox.top, upper), bbox.width, y - Math.max(bbox.top, upper));
    ctx.globalAlpha = 1;
    ctx.strokeStyle = colour('--ink');
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  });
  ctx.restore();
}

/** The names of the bands at the right edge, over all that is drawn. */
function names(u, facts) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.fillStyle = colour('--ink');
  ctx.font = `${13 * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;
  ctx.textAlign = 'right';
  ctx.textBaseline = 'bottom';
  for (const mark of facts.thresholds) {
    const y = u.valToPos(mark.value, 'y', true);
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    written(ctx, `${mark.name} ${figure(mark.value, facts.unit)}`, bbox.left + bbox.width - 6 * devicePixelRatio, y - 2);
  }
  ctx.restore();
}

/** The line of now, and on demand what the quality tests said of each point. */
function over(u, facts) {
  const { ctx, bbox } = u;
  const pixel = devicePixelRatio;
  const x = u.valToPos(facts.now / 1000, 'x', true);
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = colour('--ink');
  ctx.setLineDash([]);
  ctx.lineWidth = 1.5 * pixel;
  if (x >= bbox.left && x <= bbox.left + bbox.width) {
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.font = `${12 * pixel}px ${getComputedStyle(document.body).fontFamily}`;
    ctx.textAlign = 'right';
    written(ctx, t('chart_now'), x - 4 * pixel, bbox.top + bbox.height - 6 * pixel);
  }
  for (const [at, value, flag] of facts.flags ? facts.level.points : []) {
    const px = u.valToPos(at / 1000, 'x', true);
    if (px < bbox.left || px > bbox.left + bbox.width) continue;
    const py = value === null ? bbox.top + bbox.height - 8 * pixel : u.valToPos(value, 'y', true);
    sign(ctx, px, py, 4.5 * pixel, flag);
  }
  for (const one of facts.ones?.observations ?? []) {
    if (one.flag !== 4 || one.value === null) continue;
    const [px, py] = [u.valToPos(Date.parse(one.observed) / 1000, 'x', true), u.valToPos(one.value, 'y', true)];
    if (px >= bbox.left && px <= bbox.left + bbox.width && py >= bbox.top && py <= bbox.top + bbox.height) sign(ctx, px, py, 4.5 * pixel, 4);
  }
  ctx.restore();
}

// Suspect a triangle, failed a cross, missing a dash; each a list of strokes.
const STROKES = {
  3: [[[0, -1], [1, 1], [-1, 1], [0, -1]]],
  4: [[[-1, -1], [1, 1]], [[1, -1], [-1, 1]]],
  9: [[[-1, 0], [1, 0]]],
};

/** Good is a dot, not yet judged a ring. */
function sign(ctx, x, y, r, flag) {
  ctx.beginPath();
  if (!STROKES[flag]) ctx.arc(x, y, r / 2, 0, 2 * Math.PI);
  for (const stroke of STROKES[flag] ?? []) {
    stroke.forEach(([dx, dy], n) => (n ? ctx.lineTo(x + dx * r, y + dy * r) : ctx.moveTo(x + dx * r, y + dy * r)));
  }
  if (flag === 1) ctx.fill();
  else ctx.stroke();
}

function series(library, facts) {
  const ink = colour('--ink');
  const found = [
    {},
    { label: 'level', stroke: ink, width: 2.2, points: { show: false } },
    { label: 'low', stroke: 'transparent', width: 0, points: { show: false } },
    { label: 'high', stroke: 'transparent', width: 0, points: { show: false } },
  ];
  if (facts.rain) {
    const bars = library.paths.bars({ size: [0.9, 14], align: -1 });
    found.push({ label: 'rain', scale: 'rain', fill: `color-mix(in srgb, ${colour('--water')} 55%, transparent)`, width: 0, paths: bars, points: { show: false } });
  }
  if (facts.tide) found.push({ label: 'tide', stroke: ink, width: 1.2, dash: [4, 4], points: { show: false } });
  if (facts.ones) found.push({ label: 'raw', scale: 'raw', stroke: colour('--act'), width: 1, points: { show: true, size: 3, fill: colour('--act') } });
  return found;
}

function axes(facts) {
  const look = { stroke: colour('--ink'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line') }, font: '13px sans-serif' };
  const values = (digits) => (_, splits) => splits.map((v) => (v === null ? '' : v.toFixed(digits).replace('-', '−')));
  const found = [
    { ...look, values: (u, splits) => splits.map((s) => facts.tick(s * 1000, u.scales.x.max - u.scales.x.min)) },
    { ...look, values: values(facts.unit === 'm' ? 2 : 1), size: 62, label: facts.unit === '/' ? '' : facts.unit, labelSize: 20, labelFont: '13px sans-serif' },
  ];
  if (facts.rain) {
    found.push({ ...look, scale: 'rain', side: 1, grid: { show: false }, values: values(0), size: 50, label: `${t('chart_rain')} mm`, labelSize: 20, labelFont: '13px sans-serif' });
  }
  if (facts.ones) {
    found.push({ ...look, stroke: colour('--act'), scale: 'raw', side: 1, grid: { show: false }, size: 62, label: t('ones'), labelSize: 20, labelFont: '13px sans-serif' });
  }
  return found;
}

/** Draws into `element` and returns what takes it away. `facts`: level, rain, tide, ones (as the interface gives them),
 * thresholds [{rank, level, value, name}], unit, now, flags, tick; `read(index)` and `zoom(from, to)` are called back. */
export function drawChart(library, element, facts) {
  const data = joined(library, facts);
  const options = {
    width: Math.max(280, element.clientWidth),
    height: HEIGHT,
    tzDate: (seconds) => library.tzDate(new Date(seconds * 1000), ZONE),
    legend: { show: false },
    cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 9 } },
    scales: {
      x: { range: [facts.from / 1000, facts.to / 1000] },
      y: { range: (_, least, most) => spanOf(facts, least, most) },
      rain: { range: (_, least, most) => [0, Math.max(30, (most ?? 0) * 3)], dir: -1 },
    },
    series: series(library, facts),
    bands: [{ series: [3, 2], fill: `color-mix(in srgb, ${colour('--ink')} 18%, transparent)` }],
    axes: axes(facts),
    hooks: {
      drawAxes: [(u) => bands(u, facts)],
      draw: [(u) => over(u, facts), (u) => names(u, facts)],
      setCursor: [(u) => facts.read(u.cursor.idx === null || u.cursor.idx === undefined ? null : u.data[0][u.cursor.idx] * 1000)],
      setSelect: [
        (u) => {
          if (u.select.width < 8) return;
          facts.zoom(u.posToVal(u.select.left, 'x') * 1000, u.posToVal(u.select.left + u.select.width, 'x') * 1000);
        },
      ],
    },
  };
  const u = new library(options, data, element);
  const resized = new ResizeObserver(() => u.setSize({ width: Math.max(280, element.clientWidth), height: HEIGHT }));
  resized.observe(element);
  element.onkeydown = (event) => step(u, event);
  return () => {
    resized.disconnect();
    u.destroy();
  };
}

/** The crosshair by arrow keys, point by point. */
function step(u, event) {
  const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!way) return;
  event.preventDefault();
  const xs = u.data[0];
  const from = u.cursor.idx ?? xs.length - 1;
  const at = Math.min(xs.length - 1, Math.max(0, from + way));
  u.setCursor({ left: u.valToPos(xs[at], 'x'), top: u.over.clientHeight / 2 });
}

export const place = (label) =>
  h('div', { id: 'chart', class: 'chart', 'data-keep': true, tabindex: '0', role: 'img', 'aria-label': label });
