// The words of accounts, tokens and the audit, [Japanese, English]: they come with these views, not with the duty view.

import { language, learn, t } from './words.js';

learn({
  accounts: ['アカウント', 'Accounts'],
  audit: ['操作の記録', 'Audit'],
  account_make: ['アカウントを作る', 'Make an account'],
  account_make_sentence: ['作るとすぐに使えます。誰が作ったかは操作の記録に残ります。', 'It can be used at once. The audit says who made it.'],
  account_made: ['{name} を作りました。', '{name} is made.'],
  account_changed: ['{name} を変更しました。', '{name} is changed.'],
  account_unchanged: ['何も変わっていません。', 'Nothing was changed.'],
  account_rights: ['権限を変える', 'Change rights'],
  account_password: ['パスワードを設定', 'Set password'],
  account_disable: ['無効にする', 'Disable'],
  account_enable: ['有効にする', 'Enable'],
  account_signout: ['全端末でログアウト', 'Sign out'],
  account_display: ['表示名（省略できます）', 'Display name (may be empty)'],
  account_kind: ['使う人', 'Used by'],
  account_person: ['人（パスワードでログイン）', 'A person, by password'],
  account_machine: ['機械（パスワードなし、トークンだけ）', 'A machine, by tokens alone'],
  account_token_how: [
    '{name} はログインできません。トークンはサーバーで次のように作ります。',
    '{name} cannot sign in. Its tokens are made on the server:',
  ],
  sending: ['送っています', 'Sending'],
  all_out: ['この人はすべての端末でログアウトされます。', 'This person is signed out everywhere.'],
  all_out_you: ['この端末を含め、あなたはすべての端末でログアウトされます。', 'You are signed out everywhere, here too.'],
  rights_sentence: ['トークンでできることも、新しい権限と範囲までになります。', 'Tokens, too, may from now on do only what these rights allow.'],
  password_sentence: ['トークンはそのまま使えます。新しいパスワードは、本人に直接伝えてください。', 'Tokens stay in force. Tell the new password to the person directly.'],
  password_machine: ['機械用のアカウントです。パスワードを設定すると、ログインできるようになります。', 'This account is for a machine. With a password somebody can sign in with it.'],
  disable_sentence: ['有効に戻すまで、ログインもトークンも使えません。', 'Until it is enabled again, neither signing in nor its tokens work.'],
  enable_sentence: ['またログインできるようになり、期限の残るトークンも使えるようになります。', 'Signing in works again, and so do its tokens that have not expired.'],
  signout_sentence: ['パスワードとトークンはそのままです。', 'Password and tokens stay as they are.'],
  signed_out: ['{n}か所でログアウトさせました。', 'Signed out in {n} places.'],
  signed_out_none: ['ログインしている端末はありませんでした。', 'Nobody was signed in by that name.'],
  provider_signout: ['庁内の認証の人をログアウトさせる', "Sign out somebody of the city's provider"],
  provider_name: ['名前（操作の記録にあるとおり：名前@認証元）', 'Name as in the audit: NAME@PROVIDER'],
  provider_not: ['「名前@認証元」の形で書いてください。', 'Write it as NAME@PROVIDER.'],
  head_account: ['名前', 'Name'],
  head_role: ['権限', 'Role'],
  head_tenants: ['担当範囲', 'Tenants'],
  head_changed: ['変更', 'Changed'],
  role_viewer: ['閲覧', 'Viewer'],
  role_operator: ['当番', 'Operator'],
  role_administrator: ['管理者', 'Administrator'],
  role_viewer_may: ['閲覧（見るだけ）', 'Viewer: looks'],
  role_operator_may: ['当番（確認・記録・機器の操作もできる）', 'Operator: also acts'],
  role_administrator_may: ['管理者（アカウントも扱える）', 'Administrator: also handles accounts'],
  tenants_all: ['すべて', 'All'],
  tenants_all_future: ['すべて（これから増えるものも）', 'All, also those that come'],
  tenants_own: ['アカウントと同じ', 'Those of the account'],
  tenants_some: ['選んだものだけ', 'Only these'],
  tenants_none: ['担当範囲を一つ以上選んでください。', 'Choose at least one tenant.'],
  account_active: ['有効', 'Active'],
  account_disabled: ['無効', 'Disabled'],
  account_for_machine: ['機械用', 'Machine'],
  account_yours: ['あなた', 'You'],
  account_hint: ['自分の権限は、ほかの管理者が変えます。', 'Another administrator changes your own rights.'],
  only_administrators: ['この画面は管理者だけが使えます。', 'This screen is for administrators.'],
  only_local: ['この画面は、名前とパスワードでログインした人だけが使えます。', 'This screen is for whoever signed in with a name and a password.'],
  password_new: ['新しいパスワード（12文字以上、いくつかの言葉で）', 'New password (12 characters or more; take several words)'],
  password_again: ['もう一度', 'Once more'],
  password_old: ['いまのパスワード', 'Present password'],
  password_differs: ['二つのパスワードが違います。', 'The two passwords differ.'],
  password_missing: ['パスワードを入れてください。', 'Enter a password.'],
  password_wrong: ['いまのパスワードが違います。', 'The present password is wrong.'],
  password_change: ['パスワードを変える', 'Change password'],
  password_own_sentence: [
    'すべての端末でログアウトされます。この端末でも、新しいパスワードでログインし直します。トークンはそのまま使えます。',
    'You are signed out everywhere and log in anew, here too. Tokens stay in force.',
  ],
  password_changed: ['パスワードを変えました。新しいパスワードでログインしてください。', 'The password is changed. Log in with the new one.'],
  tokens: ['トークン', 'Tokens'],
  tokens_what: ['プログラムがあなたの代わりに読み書きするための鍵です。アカウントの権限を超えることはできません。', 'Keys by which programs ask in your name. None may more than your account.'],
  no_tokens: ['使えるトークンはありません。', 'No token is in force.'],
  tokens_ended: ['使えなくなったもの {n}件', 'No longer in force: {n}'],
  token: ['トークン', 'Token'],
  token_make: ['トークンを作る', 'Make a token'],
  token_make_sentence: ['トークンを持つ人は誰でも、期限まであなたの名前で使えます。', 'Until it expires, whoever has it acts in your name.'],
  token_label: ['何に使うか', 'What it is for'],
  token_scope: ['できること', 'May'],
  token_days: ['有効な日数（1〜366）', 'Days it lasts (1 to 366)'],
  token_once: [
    'このトークンが表示されるのは今だけです。閉じると二度と表示されません。いま控えてください。なくしたときは失効させ、新しく作ります。',
    'This token is shown now and never again. Keep it before you close this. If it is lost, revoke it and make another.',
  ],
  token_copy: ['コピー', 'Copy'],
  token_copied: ['コピーしました。', 'Copied.'],
  token_not_copied: ['コピーできません。選択された文字を手で控えてください。', 'It could not be copied. Copy the marked text by hand.'],
  token_kept: ['控えた、閉じる', 'I have kept it'],
  token_revoke: ['失効させる', 'Revoke'],
  token_revoke_sentence: ['このトークンを使うプログラムは、すぐに使えなくなります。元には戻せません。', 'Programs that use this token stop working at once. This cannot be undone.'],
  token_of: ['{name} の {id}', "{name}'s {id}"],
  token_revoked: ['失効させました。', 'It is revoked.'],
  token_unnamed: ['（名前なし）', '(unnamed)'],
  scope_read: ['読むだけ', 'Read'],
  scope_act: ['読む・操作する', 'Read and act'],
  scope_admin: ['読む・操作する・アカウントを扱う', 'Read, act, handle accounts'],
  head_token: ['名前', 'Label'],
  head_made: ['作成', 'Made'],
  head_expires: ['期限', 'Expires'],
  head_used: ['最後に使用', 'Last used'],
  never_used: ['未使用', 'Never'],
  state_active: ['有効', 'In force'],
  state_expired: ['期限切れ', 'Expired'],
  state_revoked: ['{at} に失効', 'Revoked {at}'],
  audit_what: ['誰が何をしたか。消したり書き換えたりはできません。2年間残ります。', 'Who did what. Nobody can change it; it is kept for two years.'],
  audit_refused: ['断った回数', 'What was refused'],
  audit_refused_what: ['1時間ごとに、相手と理由でまとめています。', 'Counted by the hour, source and reason.'],
  audit_older: ['古いものへ', 'Older'],
  audit_newer: ['新しいものへ', 'Newer'],
  audit_all_only: ['操作の記録は、すべての範囲の管理者だけが見られます。', 'The audit is for administrators of all tenants.'],
  head_deed: ['操作', 'Deed'],
  head_subject: ['対象', 'Subject'],
  head_outcome: ['結果', 'Outcome'],
  head_address: ['アドレス', 'Address'],
  head_last: ['最後', 'Last'],
  head_asked: ['求めたもの', 'Asked for'],
  head_times: ['回数', 'Times'],
  since_at: ['{at} から', 'since {at}'],
  nobody: ['（名乗らず）', '(nobody known)'],
  several: ['（ほか多数）', '(many others)'],
  refusal_wait: ['{n}秒待ってから、もう一度試してください。', 'Wait {n} s, then try again.'],
});

// By what somebody was known.
export const VIAS = {
  session: ['画面', 'page'],
  token: ['トークン', 'token'],
  cli: ['サーバーのコマンド', "server's command line"],
  loopback: ['この機械の前', 'at the machine'],
  public: ['ログインなし', 'not signed in'],
};

// `what` of the audit.
export const DEEDS = {
  login: ['ログイン', 'Login'],
  logout: ['ログアウト', 'Logout'],
  'session.end': ['すべての端末でログアウト', 'Signed out everywhere'],
  'account.make': ['アカウント作成', 'Account made'],
  'account.change': ['アカウント変更', 'Account changed'],
  'accounts.restore': ['アカウントを控えから復元', 'Accounts restored from a backup'],
  'password.change': ['パスワード変更', 'Password changed'],
  'token.make': ['トークン作成', 'Token made'],
  'token.revoke': ['トークン失効', 'Token revoked'],
  'alert.acknowledge': ['警報を確認', 'Alert acknowledged'],
  'alert.confirm': ['警報を本当と判断', 'Alert confirmed'],
  'alert.reject': ['警報を誤報と判断', 'Alert rejected'],
  'alert.close': ['警報の対応を終了', 'Alert closed'],
  'alert.mute': ['通知を停止', 'Notifications stopped'],
  'alert.unmute': ['通知を再開', 'Notifications resumed'],
  'maintenance.begin': ['点検を開始', 'Maintenance begun'],
  'maintenance.end': ['点検を終了', 'Maintenance ended'],
  'drill.begin': ['訓練を開始', 'Drill begun'],
  'drill.end': ['訓練を終了', 'Drill ended'],
  'journal.add': ['時系列に記録', 'Entry in the chronology'],
  'letters.replay': ['読めなかったデータをやり直し', 'Dead letters taken again'],
};

// `outcome` of the audit; the latter are why somebody was not let in.
export const OUTCOMES = {
  done: ['完了', 'Done'],
  refused: ['受け付けられず', 'Refused'],
  asked: ['返事待ちのまま', 'Asked, not answered'],
  wrong_password: ['パスワード違い', 'Wrong password'],
  unknown_name: ['その名前のアカウントなし', 'Unknown name'],
  disabled: ['無効のアカウント', 'Account disabled'],
  provider_unreachable: ['認証元が応答せず', 'Provider not reachable'],
  provider_refused: ['認証元が拒否', 'Refused by the provider'],
  foreign_return: ['始めていないログインの戻り', 'Return of a sign-in not begun here'],
  bad_signature: ['認証元の署名が不正', "Provider's signature wrong"],
  bad_claims: ['認証の内容が合わない', "Provider's statement does not fit"],
  no_role: ['権限のあるグループなし', 'No group with a role'],
  no_tenant: ['担当範囲のあるグループなし', 'No group with a tenant'],
};

// Why the interface refused, beside the reasons of a sign-in.
export const REFUSED = {
  unauthenticated: ['ログインなし、または使えないトークン', 'Not signed in, or no valid token'],
  forbidden: ['権限なし', 'Not allowed by the role'],
  cross_site: ['ほかのページからの操作', 'Sent by a foreign page'],
  too_many: ['回数が多すぎる', 'Too many requests'],
  foreign_tenant: ['担当範囲の外', 'Of another tenant'],
};

// What the server says against it: its sentence, [Japanese, English]; without English its own.
const SAID = [
  [/^there is no account of that name$/, 'その名前のアカウントはありません。'],
  [/^a name is 1 to 64 letters/, '名前は64文字までの文字と数字です。間に「.」「-」「_」と空白を使えます。'],
  [/^there is an account '(.+)' already$/, '「$1」というアカウントはもうあります。'],
  [/^a password has at least (\d+) characters$/, 'パスワードは$1文字以上にしてください。'],
  [/^a password has at most (\d+) characters$/, 'パスワードは$1文字までです。'],
  [/^a password holds no control characters/, 'パスワードに使えない文字があります。'],
  [/^this password is guessed at once/, 'このパスワードはすぐに推測されます。いくつかの言葉を組み合わせてください。'],
  [/^another administrator changes yours/, '自分の権限は、ほかの管理者が変えます。', 'Another administrator changes your own rights.'],
  [/^an administrator of some tenants gives rights in these alone$/, '自分の担当範囲の中だけで権限を与えられます。'],
  [/^this is for administrators of all tenants$/, 'すべての範囲の管理者だけができます。'],
  [/^this is for whoever signed in with a name and a password of this house$/, '名前とパスワードでログインした人だけができます。'],
  [/^(.+) is disabled$/, '「$1」は無効です。'],
  [/^(.+) is \w+; the scope (\w+) needs \w+$/, 'あなたの権限では、このトークンは作れません。', 'Your role does not allow a token of that kind.'],
  [/^(.+) does not see all of these tenants, but (.+)$/, '担当範囲（$2）の外を含むトークンは作れません。'],
  [/^(.+) has (\d+) tokens\. Revoke some$/, '使えるトークンが$2件あります。いらないものを失効させてください。', 'There are $2 tokens in force. Revoke some first.'],
  [/^there is no such token in force/, 'このトークンはもう使えなくなっています。', 'This token is no longer in force.'],
];

const whole = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?!]$/.test(text) ? '' : '.'}`;

/** An error of a question to the server, as a sentence. */
export function sentence(e) {
  if (!e.status) return t('no_server_act');
  const found = SAID.find(([form]) => form.test(e.detail));
  if (found) {
    const [form, ja, en] = found;
    const words = language === 'ja' ? ja : en;
    return words ? e.detail.replace(form, words).trim() : whole(e.detail);
  }
  const waits = /(\d+) s$/.exec(e.detail);
  if (e.code === 'too_many' && waits) return t('refusal_wait', { n: waits[1] });
  return e.message;
}
