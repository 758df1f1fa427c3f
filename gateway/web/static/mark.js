// The mark of a station: shape, digit and colour of its rank; hollow with a sign of its own where nobody sees it. Colour
// never says anything alone, and what is not known is as large as rank 3.

import { s } from './dom.js';
import { t } from './words.js';

const SHAPES = {
  circle: 'M0,-15A15,15 0 1 1 0,15A15,15 0 1 1 0,-15Z',
  triangle: 'M0,-17L18,14L-18,14Z',
  square: 'M-14,-14H14V14H-14Z',
  diamond: 'M0,-18L18,0L0,18L-18,0Z',
  octagon: 'M-8,-18H8L18,-8V8L8,18H-8L-18,8V-8Z',
};
// What kind of place it is, as an outline around: an arch, a wave, a drop, an arrow.
const FRAMES = {
  tide: ['M-20,22q5,-5 10,0t10,0t10,0t10,0'],
  underpass: ['M-22,21V0A22,22 0 0 1 22,0V21'],
  inundation: ['M-22,21V0A22,22 0 0 1 22,0V21'],
  rain: ['M-14,-15Q-5,-20 0,-28Q5,-20 14,-15'],
  moving: ['M21,-11L30,0L21,11'],
};
const WRENCH = 'M-9,10L3,-2A7,7 0 0 1 11,-11L7,-6L9,-3L13,-7A7,7 0 0 1 5,2L-6,13Z';
const SIGNS = {
  silent: [['path', { d: SHAPES.circle, class: 'hollow dotted' }], ['path', { d: 'M-6,0H6', class: 'sign' }]],
  faulty: [['path', { d: SHAPES.square, class: 'hollow' }], ['path', { d: 'M-8,-8L8,8M8,-8L-8,8', class: 'sign' }]],
  unknown: [['path', { d: SHAPES.circle, class: 'hollow dashed' }], ['text', { y: 7, class: 'sign-text' }, '?']],
  maintenance: [['path', { d: SHAPES.square, class: 'hollow thin' }], ['path', { d: WRENCH, class: 'tool' }]],
  late: [['path', { d: SHAPES.circle, class: 'hollow thin' }], ['path', { d: 'M0,-9V0L6,4', class: 'sign' }]],
};

function ranked(x) {
  const { level, rank } = x;
  const d = SHAPES[level.shape] ?? SHAPES.circle;
  const low = level.shape === 'triangle' ? 11 : 6;
  const digit = rank === 0 ? '' : rank === 1 ? t('sign_standby') : String(rank);
  return [
    x.suspect && s('circle', { r: 23, class: 'doubt' }),
    x.held && s('path', { d: 'M-23,-23L23,23M23,-23L-23,23', class: 'cross' }), // behind, so that the digit is read
    s('path', { d, class: 'shape', fill: level.colour }),
    digit && s('text', { y: low, class: 'digit', fill: level.text }, digit),
    x.late && s('path', { d: 'M14,-24a7,7 0 1 1 -0.1,0ZM14,-21V-17L17,-15', class: 'badge' }),
  ];
}

/** The SVG of `standing(row)`. `label`: what is read aloud; without one the words stand beside it. */
export function mark(x, label) {
  const inner = x.kind === 'rank' ? ranked(x) : SIGNS[x.kind].map(([name, attributes, text]) => s(name, attributes, text));
  const size = x.kind === 'rank' && !x.rank && !x.late ? 'calm' : x.rank === 5 && x.kind === 'rank' ? 'most' : '';
  return s(
    'svg',
    {
      class: `mark ${x.kind} ${size}`,
      viewBox: '-24 -24 48 48',
      ...(label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': 'true' }),
      focusable: 'false',
    },
    (FRAMES[x.hazard] ?? []).map((d) => s('path', { d, class: 'frame' })),
    inner,
  );
}
