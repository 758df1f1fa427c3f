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

export function view() {
  if (!state.board) return h('p', { class: 'notice' }, t('connecting'));
  const { data } = fetched(`journal?hours=${HOURS}&limit=500`, 20_000);
  const rows = (data?.rows ?? []).filter((row) => row.by && row.kind !== 'notification').slice(-40);
  const blind = stations((row) => unseen(row));
  return [
    h('h2', {}, t('handover_sheet'), h('small', {}, date(now()))),
    h('p', { class: 'ranges' }, mayAct() && h('button', { type: 'button', 'data-act': 'handover', class: 'main', disabled: state.lost }, t('sign')), h('button', { type: 'button', 'data-act': 'print' }, t('print'))),
    bulletins(),
    h(
      'div',
      { class: 'columns' },
      section('handover_episodes', episodes(), 'queue_none'),
      section('handover_high', stations((row) => claim(row) >= 1 && !row.held), 'queue_none'),
      section('handover_blind', blind, 'queue_none'),
      section('handover_suspended', suspensions(), 'queue_none'),
    ),
    h('h3', {}, t('handover_done', { n: HOURS })),
    rows.length ? table(rows) : h('p', {}, t('no_rows')),
    h('p', { class: 'signature' }, t('signature_line')),
  ];
}

async function sign() {
  const open = (state.board.episodes ?? []).length;
  const blind = state.board.stations.filter(unseen).length;
  const facts = { open, waiting: unanswered().length, blind };
  const fields = [
    { name: 'from', label: t('handover_from'), required: true },
    { name: 'to', label: t('handover_to'), required: true, value: state.config.you?.name },
    { name: 'note', label: t('handover_note'), kind: 'area' },
  ];
  const said = await ask({ title: t('sign'), sentence: t('sign_sentence', facts), fields, verbs: [['yes', t('sign')]] });
  if (!said) return;
  const text = t('signed', { ...facts, from: said.from, to: said.to, note: said.note });
  await perform({ kind: 'write', what: 'other', text: text.trim() });
}

export const presses = { handover: sign };
