// Where: the marks on a map. Without tiles the outlines of rivers and areas carry it, without Leaflet the list does.

import { h } from './dom.js';
import { changed, now, state } from './state.js';
import { language, named, t } from './words.js';
import { read } from './api.js';
import { fetched } from './fetched.js';
import { age, arrow, measure, ms } from './figures.js';
import { mark } from './mark.js';
import { nameOf } from './list.js';
import { claim, levelOf, placeOf, standing, unseen, urgency, words } from './standing.js';

const NAMED_UP_TO = 24; // stations that all have their name on the map
let library = null; // null: on its way, false: missing, else Leaflet
let outlines = null;
let map = null;
let fitted = false;
let outlined = false;
let movers = null;
const pins = new Map(); // place -> {marker, drawn}

const script = (path) =>
  new Promise((resolve, reject) => {
    const element = document.createElement('script');
    element.src = new URL(path, import.meta.url);
    element.onload = resolve;
    element.onerror = () => reject(new Error(path));
    document.head.append(element);
  });

export function stylesheet(path) {
  document.head.append(h('link', { rel: 'stylesheet', href: new URL(path, import.meta.url).href }));
}

export { script };

export async function prepareMap() {
  stylesheet('vendor/leaflet/leaflet.css');
  // Both before the first picture: a map that is drawn stands.
  const [found, drawn] = await Promise.allSettled([script('vendor/leaflet/leaflet.js'), read('outlines')]);
  outlines = drawn.value ?? null; // without them the map says less; everything else stands in the list
  library = found.status === 'fulfilled' ? globalThis.L : false;
  changed();
}

/** The place of the map, or in words why there is none. */
export function mapPlace() {
  const legend = h(
    'details',
    { class: 'legend' },
    h('summary', {}, t('legend')),
    h('ul', {}, legendRows().map(([x, words]) => h('li', {}, mark(x), words))),
  );
  if (library === false) return [h('p', { class: 'notice' }, t('no_map')), legend];
  return [h('div', { id: 'map', 'data-keep': true, role: 'region', 'aria-label': t('map') }), legend];
}

function legendRows() {
  const rank = (n, more) => ({ kind: 'rank', rank: n, level: levelOf(n), ...more });
  return [
    ...[5, 4, 3, 2, 1, 0].map((n) => [rank(n), n ? t('exceeded', { level: named(levelOf(n)) }) : t('normal')]),
    [rank(4, { suspect: true }), t('unconfirmed')],
    [rank(4, { held: true }), t('held')],
    ...['late', 'silent', 'faulty', 'unknown', 'maintenance'].map((kind) => [{ kind, rank: 0, level: levelOf(0) }, t(kind)]),
    ...['tide', 'underpass', 'rain', 'moving'].map((hazard) => [rank(0, { hazard }), t(`hazard_${hazard}`)]),
  ];
}

function begin(element) {
  fitted = outlined = false;
  movers = null;
  pins.clear();
  map = library.map(element, { zoomControl: true, attributionControl: true, fadeAnimation: false, zoomSnap: 0.25 });
  map.attributionControl.setPrefix(false);
  map.setView(state.config.centre ?? [35.0, 135.0], state.config.zoom ?? 11);
  const { tiles } = state.config;
  if (tiles) library.tileLayer(tiles.url, { attribution: tiles.attribution, maxZoom: 18 }).addTo(map);
}

/** Rivers and areas, whenever they come. */
function drawOutlines() {
  if (!outlines || outlined) return;
  outlined = true;
  library
    .geoJSON(outlines, {
      interactive: false,
      style: (feature) => ({ className: `outline ${feature.geometry.type.includes('Line') ? 'river' : 'area'}`, weight: 2 }),
      pointToLayer: (feature, at) => library.marker(at, { interactive: false, icon: caption(feature) }),
    })
    .addTo(map);
}

const caption = (feature) =>
  library.divIcon({ className: 'caption', html: h('span', {}, feature.properties?.name ?? ''), iconSize: null });

function pin(row, all) {
  const x = standing(row);
  const grave = claim(row) >= 3 || unseen(row) || x.suspect;
  const showing = all || claim(row) >= 3 || row.held || x.suspect;
  const value = row.value === null || unseen(row) ? '' : `${measure(row.value, row.unit)}${arrow(row.trend)}`;
  const word = x.kind === 'rank' && !row.held ? value : row.held ? t('held') : t(x.kind);
  return h(
    'div',
    { class: `pin ${grave ? 'grave' : ''}` },
    mark(x),
    h('span', { class: 'label' }, showing && h('b', {}, nameOf(row)), ' ', (showing || x.kind !== 'rank') && word),
  );
}

function put(row, all) {
  const key = placeOf(row);
  const drawn = JSON.stringify([all, language, row.name, row.latitude, row.longitude, standing(row), row.value, row.trend, words(row)]);
  const known = pins.get(key);
  if (known?.drawn === drawn) return;
  const html = pin(row, all);
  const icon = library.divIcon({ className: 'place', html, iconSize: [44, 44] });
  const title = `${nameOf(row)} ${words(row).join(' ')}`;
  if (known) {
    known.marker.setIcon(icon).setZIndexOffset(Math.round((9 - urgency(row)) * 1000));
    known.marker.setLatLng([row.latitude, row.longitude]);
    known.drawn = drawn;
    return;
  }
  // The list beside it is the way of the keyboard: a hundred stops on a map are none.
  const marker = library.marker([row.latitude, row.longitude], { icon, title, keyboard: false });
  marker.setZIndexOffset(Math.round((9 - urgency(row)) * 1000)).addTo(map);
  marker.on('click', () => (location.hash = `#/station/${key}`));
  pins.set(key, { marker, drawn });
}

function draw() {
  const element = document.getElementById('map');
  if (!library || !state.board || !element || element.offsetParent === null) return;
  if (map && map.getContainer() !== element) {
    map.remove();
    map = null;
  }
  if (!map) begin(element);
  map.invalidateSize({ pan: false });
  const rows = state.board.stations.filter((row) => row.latitude !== null && row.longitude !== null);
  const here = new Set(rows.map(placeOf));
  for (const [key, { marker }] of pins) {
    if (here.has(key)) continue;
    marker.remove();
    pins.delete(key);
  }
  for (const row of rows) put(row, rows.length <= NAMED_UP_TO);
  drawOutlines();
  drawMoving();
  if (!fitted && rows.length) {
    map.fitBounds(rows.map((row) => [row.latitude, row.longitude]), { paddingTopLeft: [50, 25], paddingBottomRight: [50, 45], maxZoom: 14, animate: false });
    fitted = true;
  }
}

/** Vehicles and other moving things, for staff. */
function drawMoving() {
  if (!state.config.staff) return;
  const { data } = fetched('moving.geojson', 60_000);
  movers ??= library.layerGroup().addTo(map);
  movers.clearLayers();
  for (const { geometry, properties } of data?.features ?? []) {
    const [longitude, latitude] = geometry.coordinates;
    const old = properties.observed ? t('moving_at', { age: age(Math.max(0, now() - ms(properties.observed))) }) : '';
    const html = h('div', { class: 'pin' }, mark({ kind: 'rank', rank: 0, level: levelOf(0), hazard: 'moving' }), h('span', { class: 'label' }, h('b', {}, named(properties.name)), ` ${old}`));
    library.marker([latitude, longitude], { icon: library.divIcon({ className: 'place', html, iconSize: [44, 44] }), keyboard: false, interactive: false }).addTo(movers);
  }
}

document.addEventListener('drawn', draw);
// The sheet has another size than the screen: all stations are on both.
matchMedia('print').addEventListener('change', () => {
  fitted = false;
  draw();
});
