// Where: the marks on a map. Without tiles the outlines of rivers and areas carry it, without Leaflet the list does.

import { h } from './dom.js';
import { changed, now, state } from './state.js';
import { language, named, t } from './words.js';
import { read } from './api.js';
import { fetched } from './fetched.js';
import { age, ms } from './figures.js';
import { mark } from './mark.js';
import { levelOf } from './standing.js';
import { beginPins, letMove, putPins } from './pins.js';

let library = null; // null: on its way, false: missing, else Leaflet
let outlines = null;
let map = null;
let fitted = false;
let outlined = false;
let movers = null;

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
  map = library.map(element, { zoomControl: true, attributionControl: true, fadeAnimation: false, zoomSnap: 0.25 });
  map.attributionControl.setPrefix(false);
  map.setView(state.config.centre ?? [35.0, 135.0], state.config.zoom ?? 11);
  const { tiles } = state.config;
  beginPins(library, map);
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
  drawOutlines();
  if (!fitted && rows.length) {
    map.fitBounds(rows.map((row) => [row.latitude, row.longitude]), { paddingTopLeft: [50, 25], paddingBottomRight: [50, 45], maxZoom: 14, animate: false });
    fitted = true;
  }
  putPins(rows);
  drawMoving();
}

/** Vehicles and other moving things, for staff. */
function drawMoving() {
  if (!state.config.staff) return;
  const features = fetched('moving.geojson', 60_000).data?.features ?? [];
  const more = ({ observed }) => (observed ? t('moving_at', { age: age(Math.max(0, now() - ms(observed))) }) : '');
  const told = JSON.stringify([language, features, features.map(({ properties }) => more(properties))]);
  movers ??= library.layerGroup().addTo(map);
  if (movers.told === told) return;
  movers.told = told;
  movers.clearLayers();
  letMove(features.map(({ geometry, properties }) => {
    const html = h('div', { class: 'pin wide' }, mark({ kind: 'rank', rank: 0, level: levelOf(0), hazard: 'moving' }), h('span', { class: 'label' }));
    const [longitude, latitude] = geometry.coordinates;
    const marker = library.marker([latitude, longitude], { icon: library.divIcon({ className: 'place', html, iconSize: [44, 44] }), keyboard: false, interactive: false });
    const [name, old] = [named(properties.name), more(properties)];
    marker.addTo(movers).getElement().title = `${name} ${old}`;
    return { marker, name, more: old };
  }));
}

document.addEventListener('drawn', draw);
// The sheet has another size than the screen: all stations are on both.
matchMedia('print').addEventListener('change', () => {
  fitted = false;
  draw();
});
