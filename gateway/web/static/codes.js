// What the codes of gateway/README.md mean to whoever keeps the house: [Japanese, English].

import { language } from './words.js';

export const REJECTS = {
  foreign_topic: ['決められた宛先（トピック）ではない', 'the topic is not one of the wire contract'],
  too_long: ['受け付ける長さを超えている', 'the payload is longer than the bridge accepts'],
  not_json: ['JSON として読めない', 'the payload is not JSON text'],
  not_senml: ['SenML の形ではない', 'the payload is not a SenML pack'],
  wrong_type: ['項目の型が違う', 'a field has another type than SenML gives it'],
  not_finite: ['数が NaN か無限大', 'a number is NaN or infinite'],
  lone_surrogate: ['壊れた文字があり、保存できない', 'a text holds half of a UTF-16 pair and cannot be stored'],
  integer_range: ['整数が大きすぎる', 'an integer is 2^63 or larger'],
  bad_sequence: ['通し番号がないか、壊れている', 'log or seq is missing or malformed, so the sample has no identity'],
  unknown_device: ['登録のない機器', 'no station is assigned to this device'],
  unknown_station: ['stations.yaml にない観測所', 'the station is not in stations.yaml'],
  foreign_station: ['別の機器に割り当てられた観測所', 'the station is assigned to another device'],
  unknown_channel: ['観測所にない項目', 'the station has no such channel'],
  wrong_unit: ['単位を換算できない', "the unit cannot be converted to the channel's"],
  time_future: ['未来の時刻', 'the time lies in the future'],
  undated: ['機器の時計が一度も合っておらず、時刻を決められない', "the device's clock was never set and the sample cannot be dated"],
  time_taken: ['同じミリ秒に、すでに2つの値がある', 'two other samples already stand at this millisecond'],
  bad_uplink: ['他社機器の電文が、決められた形ではない', 'the message of a device of others does not have the form of its codec'],
  bad_statement: ['蓄積の報告か起動の報告を読めない', 'the spool statement or birth cannot be read'],
  unstorable: ['この電文だけデータベースに書けない', 'the database refuses this message alone'],
  unwritable: ['この値だけ InfluxDB に書けない', 'InfluxDB refuses this point alone'],
};

export const NOTICES = {
  spool_damaged: ['機器の保存ファイルが壊れた', 'Spool file damaged'],
  spool_half: ['機器の未送信が容量の5割', 'Spool half full'],
  spool_nearly_full: ['機器の未送信が容量の8割', 'Spool nearly full'],
  spool_thinned: ['機器の容量が満杯、間引き中', 'Spool full, thinning'],
  card_refuses: ['機器のカードに書けない', 'Card refuses to be written'],
  device_clock: ['機器の時計が合っていない', "Device's clock not right"],
  contract_differs: ['送信間隔が設定と違う', 'Reports by another contract'],
  bridge_clock: ['監視サーバーの時計が信用できない', "Bridge's clock not believed"],
  no_broker: ['ブローカーに接続できない', 'No broker'],
  no_data: ['どの機器からも届かない', 'No data from any device'],
  store_nearly_full: ['記録が上限の8割', 'Store nearly full'],
  store_full: ['記録が上限の95%、間引き中', 'Store full, thinning'],
  disk_full: ['ディスクが満杯', 'Disk full'],
  long_lost: ['1日以上使える値がない観測所', 'Station long lost'],
  rain_unverified: ['雨量計の検定期限', "Rain gauge's verification ends"],
  tide_table_ends: ['潮位表の期限', 'Tide table ends'],
  influx_waits: ['InfluxDB に書けず待機中', 'InfluxDB waits'],
  orion_waits: ['データ連携基盤に送れない', 'context broker waits'],
  bulletins_unheard: ['気象庁の防災情報を受信できない', 'bulletins cannot be received'],
  quota_low: ['通知の上限の8割を使用', 'Quota low'],
  quota_spent: ['通知の上限に達した', 'Quota spent'],
  cap_waits: ['CAP のフォルダーに書けない', 'CAP feed waits'],
  paper_waits: ['印刷用の一覧を書けない', 'sheet on paper waits'],
};

export const FAULTS = {
  no_answer: ['センサーが応答しない', 'the sensor did not answer'],
  bus_error: ['信号線が使えない', 'the bus could not be reached'],
  refused: ['センサーが読み取りを拒んだ', 'the sensor refused to be read'],
  no_echo: ['反射波がない', 'no echo'],
  sensor_error: ['センサー自身が故障を知らせた', 'the sensor reports an error of its own'],
  malformed: ['センサーの応答の形が違う', 'the answer does not have its form'],
  above_span: ['測定範囲を上に超えている', 'above what it can measure'],
  below_span: ['測定範囲を下に超えている', 'below what it can measure'],
  warming_up: ['センサーの準備中', 'the sensor is not ready yet'],
  count_lost: ['積算がはじめからに戻った', 'its count begins again'],
};

// The quality tests of gateway/ALARM.md, and the mark of what was measured under maintenance.
export const TESTS = {
  gap: ['直前の値が途切れた', 'gap before it'],
  gross_range: ['範囲外', 'gross range'],
  climatology: ['季節の範囲外', 'climatology'],
  spike: ['突出', 'spike'],
  rate_of_change: ['急変', 'rate of change'],
  flat_line: ['変化なし', 'flat line'],
  attenuated: ['変動が小さすぎる', 'attenuated signal'],
  multi_variate: ['ほかの項目と合わない', 'other channel differs'],
  neighbour: ['近隣と合わない', 'neighbours differ'],
  maintenance: ['点検中の値', 'under maintenance'],
};

export const faultOf = (code) => meaning(FAULTS, code, code);
export const testOf = (name) => meaning(TESTS, name, name);

/** The words of a code; `otherwise` for one that is newer than this page. */
export const meaning = (codes, code, otherwise) => codes[code]?.[language === 'ja' ? 0 : 1] ?? otherwise;
