// What is said, in the language of whoever looks.

import { en } from './words_en.js';
import { ja } from './words_ja.js';

const BOOKS = { ja, en };
const chosen = localStorage.getItem('language');
export let language = chosen in BOOKS ? chosen : (navigator.language ?? 'ja').startsWith('ja') ? 'ja' : 'en';

export function speak(wanted) {
  language = wanted;
  localStorage.setItem('language', wanted);
  document.documentElement.lang = wanted;
}

/** The words of a key, `{n}` filled in. */
export function t(key, facts = {}) {
  const words = BOOKS[language][key];
  if (words === undefined) throw new Error(`no words for ${key}`);
  return words.replace(/\{(\w+)\}/g, (_, name) => facts[name] ?? '');
}

/** The words of a view that is fetched when it is asked for: key -> [Japanese, English]. */
export function learn(words) {
  for (const [key, said] of Object.entries(words)) [BOOKS.ja[key], BOOKS.en[key]] = said;
}

export const known = (key) => key in BOOKS[language];

/** Of what has a name in both languages: {ja, en}. */
export const named = (names) => (names ? names[language] || names.ja || names.en || '' : '');
