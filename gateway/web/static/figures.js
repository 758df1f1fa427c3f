// Figures as people read them: metres with two decimals, signs on changes, ages in words, days with their weekday.

import { language, t } from './words.js';

const ZONE = 'Asia/Tokyo';
const part = (options) => {
  const formats = {};
  return (ms) => {
    formats[language] ??= new Intl.DateTimeFormat(language === 'ja' ? 'ja-JP' : 'en-GB', { timeZone: ZONE, ...options });
    return formats[language].format(ms);
  };
};
const time = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };

export const ms = (iso) => (iso ? Date.parse(iso) : null);
/** 03:12 */
export const clock = part(time);
/** 03:12:40 */
export const seconds = part({ ...time, second: '2-digit' });
const day = part({ month: 'long', day: 'numeric', weekday: 'short' });
/** 2026/11/22 */
export const dated = part({ year: 'numeric', month: 'numeric', day: 'numeric' });
const short = part({ month: 'numeric', day: 'numeric' });
/** 11月22日(日) 03:12 */
export const date = (at) => `${day(at)} ${clock(at)}`;
/** 03:12 of today, else 11/22 03:12 */
export const when = (at, today) => (short(at) === short(today) ? clock(at) : `${short(at)} ${clock(at)}`);

const decimals = (unit) => ({ m: 2, 'm/h': 2, mm: 1, 'mm/h': 1, V: 2 })[unit] ?? 1;
const minus = (text) => text.replace('-', '−');

/** 3.42; a contact is wet or dry. */
export function figure(value, unit) {
  if (value === null || value === undefined) return t('none');
  if (unit === '/') return value ? t('wet') : t('dry');
  return minus(value.toFixed(decimals(unit)));
}

/** 3.42 m */
export const measure = (value, unit) =>
  value === null || value === undefined || unit === '/' ? figure(value, unit) : `${figure(value, unit)} ${unit ?? ''}`.trim();

/** +0.06, −0.10, ±0.00 */
export function change(value, unit) {
  if (value === null || value === undefined || unit === '/') return t('none');
  const text = Math.abs(value).toFixed(decimals(unit));
  return Number(text) === 0 ? `±${text}` : `${value < 0 ? '−' : '+'}${text}`;
}

export const arrow = (trend) => ({ up: '↑', flat: '→', down: '↓' })[trend] ?? '';

/** How long, in words: 2分, 3時間, 4日. */
export function span(length) {
  const minutes = Math.floor(length / 60_000);
  if (minutes < 1) return t('span_moment');
  if (minutes < 60) return t('span_minutes', { n: minutes });
  if (minutes < 48 * 60) return t('span_hours', { n: Math.floor(minutes / 60) });
  return t('span_days', { n: Math.floor(minutes / 1440) });
}

/** How long ago, in words: 2分前. */
export function age(length) {
  return length < 60_000 ? t('age_moment') : t('age', { span: span(length) });
}

const wide = part({ month: 'numeric', day: 'numeric' });
/** What stands at a tick of a time axis that spans so many seconds. */
export const tick = (at, span) => (span <= 48 * 3600 ? clock(at) : span <= 96 * 3600 ? `${wide(at)} ${clock(at)}` : wide(at));

/** 62cm where people say it so, else 12.5 mm. */
export const amount = (value, unit) =>
  unit === 'm' ? (Math.abs(value) < 1 ? `${Math.round(Math.abs(value) * 100)} cm` : `${Math.abs(value).toFixed(2)} m`) : measure(Math.abs(value), unit);
