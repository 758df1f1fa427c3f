// 申し送り: what the next shift must know, on one sheet that it signs; the signature is a row of the chronology.

import { h } from './dom.js';
import { mayAct, now, state } from './state.js';
import { t, named } from './words.js';
import { clock, date, measure, ms } from './figures.js';
import { fetched } from './fetched.js';
import { ask } from './asking.js';
import { perform } from './acts.js';
import { mark } from './mark.js';
import { bulletins } from './strip.js';
import { aboutOf, nameOf, unanswered } from './queue.js';
import { nameOf as stationName } from './list.js';
import { claim, standing, unseen, words, worstFirst } from './standing.js';
import { table } from './journal.js';

const HOURS = 12;

const section = (key, rows, none) => h('section', {}, h('h3', {}, `${t(key)}（${rows.length}）`), rows.length ? h('ul', {}, rows) : h('p', {}, t(none)));

function episodes() {
  const waiting = unanswered();
  return (state.board.episodes ?? []).map((e) =>
    h(
      'li',
      { 'data-key': e.episode },
      h('b', {}, nameOf(e)),
      `　${aboutOf(e)}　`,
      waiting.includes(e) ? h('b', {}, t('queue')) : e.acknowledged ? t('seen_by', { by: e.acknowledged.by, at: clock(ms(e.acknowledged.at)) }) : '',
      e.judgement?.note ? `　${e.judgement.note}` : '',
    ),
  );
}

const stations = (wanted) =>
  worstFirst(state.board.stations.filter(wanted)).map((row) =>
    h('li', { class: 'marked' }, mark(standing(row)), h('span', {}, h('b', {}, stationName(row)), `　${words(row).join('・')}　${unseen(row) ? '' : measure(row.value, row.unit)}`)),
  );

const suspensions = () =>
  (state.board.suspensions ?? []).map((x) => {
    const row = state.board.stations.find((r) => r.tenant === x.tenant && r.station === x.station);
    return h('li', {}, h('b', {}, named(row?.name) || x.station), `　${t(x.kind)}　${t('until_at', { at: date(ms(x.until)) })}　${x.by}　${x.note ?? ''}`);
  });

/** What the shift before wrote last, and whether somebody has signed it since. */
function passedOn(rows) {
  const written = rows.filter((row) => row.what === 'handover').at(-1);
  const signed = written && rows.find((row) => row.what === 'signed' && row.number > written.number);
  if (!written) return h('p', { class: 'small' }, t('handover_none'));
  return h(
    'section',
    { class: 'passed' },
    h('h3', {}, t('handover_note')),
    h('p', { class: 'words' }, named(written.text)),
    h('p', { class: 'small' }, `${date(ms(written.at))}　${written.by}`),
    h('p', {}, signed ? t('handover_signed', { by: signed.by, at: date(ms(signed.at)) }) : h('b', { class: 'tag' }, t('handover_unsigned'))),
  );
}

export function view() {
  if (!state.board) return h('p', { class: 'notice' }, t('connecting'));
  const { data, error } = fetched(`journal?hours=${HOURS}&limit=1000`, 10_000);
  const rows = data?.rows ?? [];
  const done = rows.filter((row) => row.by && row.kind !== 'notification').slice(-40);
  const button = (act, label, kind) => h('button', { type: 'button', 'data-act': act, class: kind, disabled: state.lost }, label);
  return [
    h('h2', {}, t('handover_sheet'), h('small', {}, date(now()))),
    h(
      'p',
      { class: 'ranges' },
      mayAct() && [button('handover', t('hand_over'), 'other'), button('sign', t('sign'), 'main')],
      h('button', { type: 'button', 'data-act': 'print' }, t('print')),
    ),
    error && h('p', { class: 'notice' }, t('not_read', { why: error.message })),
    passedOn(rows),
    bulletins(),
    h(
      'div',
      { class: 'columns' },
      section('handover_episodes', episodes(), 'queue_none'),
      section('handover_high', stations((row) => claim(row) >= 1 && !row.held), 'queue_none'),
      section('handover_blind', stations(unseen), 'queue_none'),
      section('handover_suspended', suspensions(), 'queue_none'),
    ),
    h('h3', {}, t('handover_done', { n: HOURS })),
    done.length ? table(done) : h('p', {}, t('no_rows')),
    h('p', { class: 'signature' }, t('signature_line')),
  ];
}

const facts = () => ({
  open: (state.board.episodes ?? []).length,
  waiting: unanswered().length,
  blind: state.board.stations.filter(unseen).length,
});

const whoIs = (label) => ({ name: 'who', required: true, label: t(label), value: state.config.you?.via === 'session' ? state.config.you.name : '' });

async function handOver() {
  const fields = [whoIs('handover_from'), { name: 'note', label: t('handover_note'), kind: 'area', required: true }];
  const said = await ask({ title: t('hand_over'), sentence: t('hand_over_sentence'), fields, verbs: [['yes', t('hand_over')]] });
  if (!said) return;
  const text = t('handed_over', { ...facts(), who: said.who, note: said.note });
  await perform({ kind: 'write', what: 'handover', text });
}

async function sign() {
  const said = await ask({ title: t('sign'), sentence: t('sign_sentence', facts()), fields: [whoIs('handover_to')], verbs: [['yes', t('sign')]] });
  if (said) await perform({ kind: 'write', what: 'signed', text: t('signed', { ...facts(), who: said.who }) });
}

export const presses = { handover: handOver, sign };
