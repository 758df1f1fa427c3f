// The stations on the map. Where they stand close together the most urgent lies on top and says what lies beneath it;
// labels are written where there is room, the gravest first.

import { h, show } from './dom.js';
import { language, t } from './words.js';
import { age, arrow, measure } from './figures.js';
import { mark } from './mark.js';
import { nameOf, textOf } from './list.js';
import { ageOf, claim, placeOf, standing, unseen, urgency, words, worstFirst } from './standing.js';
import { arrange } from './crowd.js';

const NAMED_UP_TO = 24; // stations in view that all have their name, also the calm ones
const CROWD = 40; // stations in view from which on the marks are smaller
const REM = { mark: 3, crowded: 2.4, label: 0.78, line: 1.25, badge: [2.6, 1.1] };
const SHAPE = 17 / 48; // of its place, the radius that a mark's shape fills
const WIDE = 24 / 48; // with a ring of doubt, a cross or a frame around

let library = null;
let map = null;
let rows = [];
let stop = null; // the one mark that the tab key stops at
let listed = null; // whose neighbours are listed
let movers = []; // of moving things, [{marker, name, more}]
let stale = false; // whether something stands elsewhere or otherwise than it was arranged
const pins = new Map(); // place -> {marker, row, text, drawn, placed, beneath}

export function beginPins(leaflet, its) {
  library = leaflet;
  map = its;
  pins.clear();
  stop = listed = null;
  map.on('zoomend moveend resize', () => arranged(true));
  map.on('popupclose', () => (listed = null));
  const element = map.getContainer();
  element.addEventListener('keydown', pressed);
  element.addEventListener('focusin', ({ target }) => target.dataset.place && walked(target.dataset.place));
}

/** Puts the marks of `stations` where they stand. */
export function putPins(stations) {
  rows = worstFirst(stations);
  const here = new Set(rows.map(placeOf));
  for (const [key, { marker }] of pins) {
    if (here.has(key)) continue;
    marker.remove();
    pins.delete(key);
    stale = true;
  }
  rows.forEach(put);
  arranged();
  if (listed) show(listed.list, neighbours(listed.key)); // where the focus is it stays
}

/** Moving things get a label where the stations leave room. */
export function letMove(others) {
  movers = others;
  stale = true;
  arranged();
}

function put(row) {
  const key = placeOf(row);
  const text = language + textOf(row);
  const known = pins.get(key) ?? begun(row, key);
  known.row = row;
  if (known.text === text) return;
  known.text = text;
  const drawn = JSON.stringify([language, row.name, row.latitude, row.longitude, standing(row), row.value, row.trend, words(row)]);
  if (known.drawn === drawn) return;
  known.drawn = drawn;
  known.placed = '';
  stale = true;
  known.marker.setLatLng([row.latitude, row.longitude]).setZIndexOffset(Math.round((9 - urgency(row)) * 1000));
  const html = h('div', { class: 'pin' }, mark(standing(row)), h('span', { class: 'label' }), h('span', { class: 'beneath' }));
  known.marker.getElement().replaceChildren(html);
}

function begun(row, key) {
  const icon = library.divIcon({ className: 'place', iconSize: [44, 44] });
  // Its own stops are none: one tab stop for all marks, from which the arrow keys go on.
  const marker = library.marker([row.latitude, row.longitude], { icon, keyboard: false }).addTo(map);
  Object.assign(marker.getElement().dataset, { place: key });
  marker.on('click', () => opened(key));
  const found = { marker };
  pins.set(key, found);
  return found;
}

/** What is said of a station beside its mark, the fullest first: [name, more]. */
function sayings(row, all) {
  const x = standing(row);
  const value = row.value === null || unseen(row) ? '' : `${measure(row.value, row.unit)}${arrow(row.trend)}`;
  const more = row.held ? t('held') : x.kind === 'rank' ? value : t(x.kind);
  if (x.kind === 'rank' && !claim(row) && !row.held) return all ? [[nameOf(row), more]] : [];
  return [[nameOf(row), more], x.kind === 'rank' ? [nameOf(row), ''] : ['', more]];
}

const widths = new Map();
const pen = document.createElement('canvas').getContext('2d');

function sizeOf([name, more], rem, family) {
  const width = (text, weight) => {
    const key = [text, weight, rem].join();
    if (!widths.has(key)) {
      if (widths.size > 20_000) widths.clear();
      pen.font = `${weight} ${REM.label * rem}px ${family}`;
      widths.set(key, pen.measureText(text).width);
    }
    return widths.get(key);
  };
  return [width(name, 700) + width(` ${more}`, 400) + 2, REM.label * REM.line * rem];
}

const wide = (row) => row.held || standing(row).suspect || !['river', undefined].includes(row.hazard);
/** Whose label may lie on whose mark: danger on what is not seen, that on what is calm. */
const weight = (row) => (claim(row) >= 3 || row.held || standing(row).suspect ? 2 : unseen(row) || claim(row) === 2 ? 1 : 0);
/** Beneath another it is told of; of what is calm the list tells. */
const calm = (row) => standing(row).kind === 'rank' && !claim(row);

/** Who lies on whom and which labels have room, as the map is shown now. */
function arranged(moved = false) {
  if (!stale && !moved) return;
  stale = false;
  const view = map.getBounds().pad(0.1);
  const shown = rows.filter((row) => view.contains([row.latitude, row.longitude]));
  const style = getComputedStyle(document.documentElement);
  const rem = parseFloat(style.fontSize);
  const [all, crowded] = [shown.length <= NAMED_UP_TO, shown.length > CROWD];
  const size = rem * (crowded ? REM.crowded : REM.mark);
  map.getContainer().classList.toggle('crowded', crowded);
  const texts = shown.map((row) => sayings(row, all));
  const pin = (at, said, radius, heavy, quiet) => {
    const { x, y } = map.latLngToLayerPoint(at);
    return { x, y, radius: size * radius, weight: heavy, calm: quiet, sizes: said.map((text) => sizeOf(text, rem, style.fontFamily)) };
  };
  const wanted = [
    ...shown.map((row, n) => pin([row.latitude, row.longitude], texts[n], wide(row) ? WIDE : SHAPE, weight(row), calm(row))),
    ...movers.map(({ marker, name, more }) => pin(marker.getLatLng(), [[name, more], [name, '']], WIDE, 0, true)),
  ];
  const { min, max } = map.getPixelBounds();
  const origin = map.getPixelOrigin();
  const frame = [min.x - origin.x, min.y - origin.y, max.x - origin.x, max.y - origin.y];
  // Movers come last: none lies on a station.
  const found = arrange(wanted, frame, REM.badge.map((x) => x * rem));
  movers.forEach(({ marker, name, more }, n) => {
    const { label, side } = found[shown.length + n];
    write(marker.getElement().firstChild, [[name, more], [name, '']][label], side);
  });
  found.length = shown.length;
  found.forEach((where, n) => place(shown[n], texts[n][where.label], where, where.beneath?.map((i) => shown[i]).filter(Boolean)));
  const onTop = shown.filter((row, n) => found[n].beneath);
  if (!onTop.some((row) => placeOf(row) === stop)) stop = onTop.length ? placeOf(onTop[0]) : null;
  for (const [key, { marker }] of pins) marker.getElement().tabIndex = key === stop ? 0 : -1;
}

function place(row, text, { side }, beneath) {
  const pin = pins.get(placeOf(row));
  pin.beneath = beneath ?? null;
  const worst = beneath?.length && !calm(beneath[0]) ? standing(beneath[0]) : null;
  const name = [nameOf(row), ...words(row), row.value === null ? '' : measure(row.value, row.unit), beneath?.length && t('and_beneath', { n: beneath.length })];
  const said = name.filter(Boolean).join(' ');
  const placed = JSON.stringify([said, text, side, beneath?.length, worst]);
  if (pin.placed === placed) return;
  pin.placed = placed;
  const element = pin.marker.getElement();
  element.classList.toggle('hidden', !beneath);
  element.title = said;
  element.setAttribute('role', 'link');
  element.setAttribute('aria-label', said);
  element.firstChild.className = `pin ${wide(row) ? 'wide' : ''}`;
  write(element.firstChild, text, side);
  element.querySelector('.beneath').replaceChildren(...(worst ? [mark(worst), `+${beneath.length}`] : []));
}

function write(pin, text, side) {
  const label = pin.querySelector('.label');
  label.className = `label ${side}`;
  label.replaceChildren(...(text ? [text[0] && h('b', {}, text[0]), text[0] && text[1] && ' ', text[1]].filter(Boolean) : []));
}

/** The station, or a list where others lie beneath it. */
function opened(key) {
  const { beneath, marker } = pins.get(key);
  if (!beneath?.length) {
    location.hash = `#/station/${key}`;
    return;
  }
  const list = h('ul', { class: 'neighbours' }, neighbours(key));
  library.popup({ maxHeight: 260, autoPanPadding: [8, 8] }).setLatLng(marker.getLatLng()).setContent(list).openOn(map);
  listed = { key, list };
  list.querySelector('a').focus({ preventScroll: true });
}

function neighbours(key) {
  const { row, beneath } = pins.get(key) ?? {};
  const line = (one) =>
    h(
      'li',
      { class: 'marked' },
      mark(standing(one)),
      h('span', {}, h('a', { href: `#/station/${placeOf(one)}` }, nameOf(one)), ' ', one.value === null || unseen(one) ? '' : measure(one.value, one.unit), h('small', { class: 'block' }, words(one).join('・'), ' ', ageOf(one) === null ? t('never') : age(ageOf(one)))),
    );
  return [row, ...(beneath ?? [])].filter(Boolean).map(line);
}

/** The arrow keys go from mark to mark, the most urgent first; Enter opens. */
function pressed(event) {
  if (event.key === 'Escape' && listed) {
    const { key } = listed;
    map.closePopup();
    pins.get(key)?.marker.getElement().focus({ preventScroll: true });
    return;
  }
  const key = event.target.dataset?.place;
  if (!key) return;
  const order = rows.map(placeOf).filter((one) => one === key || pins.get(one).beneath);
  const at = order.indexOf(key);
  const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: order.length - 1 }[event.key];
  if (to === undefined && event.key !== 'Enter' && event.key !== ' ') return;
  event.preventDefault();
  event.stopPropagation(); // else the map itself moves
  if (to === undefined) opened(key);
  else pins.get(order[(to + order.length) % order.length]).marker.getElement().focus({ preventScroll: true });
}

/** The focus came to a mark: it is the stop to which the tab key returns, and it is in view. */
function walked(key) {
  if (stop && pins.has(stop)) pins.get(stop).marker.getElement().tabIndex = -1;
  stop = key;
  const { marker } = pins.get(key);
  marker.getElement().tabIndex = 0;
  map.panInside(marker.getLatLng(), { padding: [40, 40], animate: false });
}
