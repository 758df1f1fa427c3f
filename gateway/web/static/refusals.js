// Why something was not done, in the words of this page: by the act codes of gateway/README.md, [Japanese, English].
// {name}: a fact of the refusal. [key]: the button of that name in words_*.js, so that a remedy names what is there.

import { now, state } from './state.js';
import { language, named, t } from './words.js';
import { clock, measure, when } from './figures.js';
import { meaning } from './codes.js';
import { nameOf } from './queue.js';

export const ACTS = {
  unknown_act: ['受信と判定を行うプログラムの版が違い、この操作（{kind}）を知りません。管理者に更新を頼んでください。', 'The bridge is of another version and does not know this ({kind}). Ask the administrator to update it.'],
  unreadable: ['送った内容のどこかが読めません（{why}）。何も変わっていません。画面を読み直し、もう一度試してください。', 'Something that was sent cannot be read ({why}). Nothing was changed. Load this page anew and try again.'],
  not_written: ['記録のデータベースがこの操作を受け付けません。何も変わっていません。管理者に知らせてください。', 'The database of the records refuses this. Nothing was changed. Tell the administrator.'],
  forgotten: ['この操作の記録は残っていません。表示を確かめ、必要ならもう一度行ってください。', 'This act is no longer on record. Look at how things stand, and do it again if needed.'],
  several_tenants: ['「{name}」は複数の団体（{tenants}）にあります。その観測所の画面から、もう一度行ってください。', 'Several tenants ({tenants}) have one called “{name}”. Do it again from the view of that station.'],
  no_station: ['観測所「{place}」は、いま監視に使われている設定にありません。設定が変わっていれば、管理者が反映してから行ってください。', 'Station “{place}” is not in the configuration that is in force. If that was edited, do it once the administrator has reloaded it.'],
  no_episode: ['「{place}」の警報はもう開いていません。ほかの人が先に終えたかもしれません。「[view_journal]」で確かめてください。', '“{place}” has no alert open any more. Somebody else may have ended it: see [view_journal].'],
  episode_closed: ['{place}の警報はすでに終わっています。確認の必要はありません。経過は「[view_journal]」にあります。', 'The alert of {place} is over; nothing is left to acknowledge. [view_journal] has its course.'],
  grave: ['段階{rank}を超えるものは、まとめて確認できません。1件ずつ見て「[acknowledge]」を押してください。', 'What is above rank {rank} is not acknowledged among others. Look at each and press [acknowledge].'],
  drill_not_judged: ['{place}は訓練です。訓練は本当か誤報かを判断しません。「[drillend]」で終えてください。', '{place} is a drill, and nobody judges that. End it with [drillend].'],
  loss_not_judged: ['データが届かないことは、本当か誤報かを判断しません。「[acknowledge]」を押してください。', 'Missing data are neither true nor false. Press [acknowledge] instead.'],
  no_basis: ['「[basis]」を選んでください：カメラ、巡回、電話、河川事務所のどれか。', 'Choose “[basis]”: camera, patrol, telephone or river office.'],
  nothing_claimed: ['{place}の警報は終わっていて、いま確認を待つ値はありません。', 'The alert of {place} is over, and no value there waits to be confirmed.'],
  not_rejected: ['{place}の警報は、すでに対応を終えています。終わった警報は誤報にできません。「[enter]」で書き残してください。', 'The alert of {place} was closed already and can no longer be called false. Note it with [enter].'],
  no_level: ['{place}は、どの基準も超えたと言っていません。誤報とするのではなく「[close]」を押してください。', '{place} claims no level that could be false. Press [close] instead.'],
  cause_open: ['共通の原因による未着は、観測所のデータが戻ると自動で終わります。「[acknowledge]」を押し、観測所ごとに終えてください。', 'A common cause ends when its stations are heard again. Press [acknowledge]; each station is closed by itself.'],
  still_high: ['{place}は{claimed}{level}を示しています{value}。下がってから終えてください。誤報なら「[judge]」から「[reject]」を、それでも終えるなら「[close]」を開き直して理由を書き「[close_anyway]」を押します。', '{place} {claimed} {level}{value}. Close it when it has fallen. If it is false: [judge], then [reject]. To close it all the same open [close] again, say why, and press [close_anyway].'],
  still_wet: ['{place}は{claimed}浸水（{level}）を示しています。乾いた表示になり、現地を確かめてから終えてください。誤報なら「[judge]」から「[reject]」を、それでも終えるなら「[close]」を開き直して理由を書き「[close_anyway]」を押します。', '{place} {claimed} water ({level}). Close it when it reads dry and somebody has been there. If it is false: [judge], then [reject]. To close it all the same open [close] again, say why, and press [close_anyway].'],
  stands_high: ['{place}はいま{level}です。点検にすると、この警報が隠れます。誤報なら「[judge]」から「[reject]」を。それでも点検するなら、もう一度「[maintenance_begin]」を押し、理由を書いて「[maintenance_anyway]」を押します。', '{place} stands at {level}, which maintenance would hide. If it is false: [judge], then [reject]. To work there all the same press [maintenance_begin] again, say why, and press [maintenance_anyway].'],
  bad_span: ['{hours}時間にはできません。最長は{most}時間です。短く選び直してください。', '{hours} h is not possible; the longest is {most} h. Choose less.'],
  bad_rank: ['段階{rank}では誰も呼ばれないため、訓練になりません。段階2から5を選んでください。', 'Rank {rank} calls nobody, so it is no drill. Choose rank 2 to 5.'],
  no_recipient: ['通知先「{name}」は設定にありません。管理者に知らせてください。', 'There is no recipient “{name}” in the configuration. Tell the administrator.'],
  nobody_told: ['通知先が1つも設定されていません。管理者に知らせてください。', 'No recipients are configured. Tell the administrator.'],
  future_entry: ['{at}は未来の時刻です（いまは{now}）。起きたことの時刻を入れるか、空欄にしてください。', '{at} lies in the future (it is {now}). Give the time at which it happened, or none for now.'],
  other_station: ['この警報は{place}のものではなく、{other}のものです。観測所を選び直してください。', 'This alert is not of {place} but of {other}. Choose the station again.'],
  no_row: ['時系列に{row}番の記録はありません（最後は{last}番）。番号を確かめてください。', 'The journal has no row {row}; its last is {last}. Check the number.'],
  no_text: ['内容が空です。何があったかを書いてください。', 'The text is empty. Write what happened.'],
  long_text: ['内容が{n}文字あります。{most}文字までです。2件に分けて記録してください。', 'The text has {n} characters, above {most}. Make two entries of it.'],
  control_characters: ['内容に、表示できない制御文字が含まれています。貼り付けた文章なら、打ち直してください。', 'The text holds control characters that cannot be shown. If it was pasted, type it anew.'],
  no_cap: ['CAP の配信が設定されていないため、発信できません。管理者に知らせてください。', 'No CAP feed is configured, so nothing can be released. Tell the administrator.'],
  not_named: ['発信には、発信する人の名前が必要です。', 'A released message names the person who releases it.'],
  no_order: ['時系列の{row}番は市長の発令の記録ではありません。先に「[enter]」で発令を記録してください。', 'Row {row} of the journal records no order of the mayor. Enter the order first, with [enter].'],
  only_drill: ['{place}で開いているのは訓練だけで、実際の警報はありません。訓練として発信するなら、訓練の番号（{episode}）を指定してください。', 'Only a drill is open at {place}, nothing real. To release an exercise name the drill ({episode}).'],
  of_no_station: ['この警報は1つの観測所のものではないため、発信できません。観測所の警報を選んでください。', 'This alert is of no single station and cannot be released. Choose the alert of a station.'],
  order_elsewhere: ['{row}番の発令は{other}についてのもので、{place}のものではありません。', 'The order in row {row} is about {other}, not {place}.'],
  nothing_released: ['{place}のこの警報では何も発信していないため、終える発信はできません。', 'Nothing was released for this alert of {place}, so there is nothing to end.'],
  other_stations: ['観測所の設定が変わっていますが、監視にはまだ反映されていません。管理者が反映（suimon bridge reload）してから、もう一度「[replay]」を押してください。', 'The stations were edited and are not in force yet. Once the administrator has reloaded them (suimon bridge reload) press [replay] again.'],
  not_running: ['受信と判定が止まっているため、できません。何も変わっていません。動き出してから、もう一度行ってください。', 'Receiving and judging have stopped, so this cannot be done. Nothing was changed. Do it again once they run.'],
  no_device: ['機器「{name}」は、いま監視に使われている設定にありません。', 'Device “{name}” is not in the configuration that is in force.'],
  no_influx: ['InfluxDB は設定されていません。', 'No InfluxDB is configured.'],
  nothing_to_send: ['その時刻からあとに届いて InfluxDB に送るものはありません。', 'Nothing has arrived since then that InfluxDB could be given.'],
};

/** 春日橋, of a station or an episode by its name, as far as the board knows it. */
function placeOf(name) {
  const e = state.board?.episodes?.find((x) => x.episode === name);
  if (e) return nameOf(e);
  const bare = name.replace(/^drill\./, ''); // an episode is named after its station and its time
  const row = state.board?.stations.find((x) => bare === x.station || bare.startsWith(`${x.station}.`));
  return named(row?.name) || name;
}

const SAID = {
  station: (x) => ['place', placeOf(x)],
  episode: (x, facts) => (facts.station ? ['episode', x] : ['place', placeOf(x)]),
  other: (x) => ['other', x ? placeOf(x) : t('entry_nowhere')],
  level: (x) => ['level', named(x)],
  claimed: (x) => ['claimed', t(x ? 'why_claimed' : 'why_shows')],
  value: (x, { unit }) => ['value', x === null ? '' : t('why_value', { value: measure(x, unit) })],
  at: (x) => ['at', when(x, now())],
  now: (x) => ['now', clock(x)],
  hours: (x) => ['hours', Number(x.toFixed(1))],
};

/** The sentence of a refusal: {code, facts}, and `reason` in English where a code is newer than this page, or missing. */
export function why({ code, facts = {}, reason = '' }) {
  const words = meaning(ACTS, code, null);
  if (words === null) return reason || t('no_reason');
  const said = Object.fromEntries(Object.entries(facts).map(([name, x]) => SAID[name]?.(x, facts) ?? [name, x]));
  return words.replace(/\[(\w+)\]/g, (_, key) => t(key)).replace(/\{(\w+)\}/g, (_, name) => said[name] ?? '');
}
