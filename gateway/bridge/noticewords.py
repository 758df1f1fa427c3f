"""What people read of the house's own conditions, in Japanese and English: place, what, value, since when, remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.bridge.wording import time_en, time_ja
from gateway.errors import NoticeCode
from gateway.stations import Station

SENDER_JA, SENDER_EN = "設備", "Equipment"
BRIDGE_JA, BRIDGE_EN = "監視サーバー", "Bridge"


@dataclass(frozen=True, slots=True)
class Words:
    """What lasts, what to do about it, and what is said when it is over."""

    what: str
    remedy: str
    over: str


@dataclass(frozen=True, slots=True)
class Said:
    """A notice as far as its words need it. `stations` are those of the device; none: the bridge itself."""

    code: NoticeCode
    device: str
    stations: Sequence[Station]
    detail: str
    since_ms: int
    ended_ms: int | None


JA: dict[NoticeCode, Words] = {
    NoticeCode.SPOOL_DAMAGED: Words(
        "保存ファイルが壊れたため別名で退避し、新しいファイルで記録を続けています",
        "SDカードの劣化が疑われます。次の巡回でカードを交換し、退避したファイルは消さずに保管してください。",
        "保存ファイルは正常です",
    ),
    NoticeCode.SPOOL_HALF: Words(
        "未送達の観測データが保存容量の5割に達しました",
        "通信回線と監視サーバーの受信状況を確認してください。データはまだ失われていません。",
        "未送達の観測データが保存容量の5割を下回りました",
    ),
    NoticeCode.SPOOL_NEARLY_FULL: Words(
        "未送達の観測データが保存容量の8割に達しました",
        "満杯になると古いデータから間引かれます。至急、通信回線と監視サーバーの受信状況を確認してください。",
        "未送達の観測データが保存容量の8割を下回りました",
    ),
    NoticeCode.SPOOL_THINNED: Words(
        "保存容量が満杯になり、古い観測データを間引いています",
        "通信を復旧するか、spool の max_size を増やしてください。失われた範囲は suimon gaps で確認できます。",
        "観測データの間引きは止まりました",
    ),
    NoticeCode.CARD_REFUSES: Words(
        "SDカードに書き込めません。観測データはメモリーにだけあり、停電すると失われます",
        "電源を切らずに、カードの空き容量と状態を確認し、交換してください。",
        "SDカードに再び書き込めるようになりました",
    ),
    NoticeCode.DEVICE_CLOCK: Words(
        "時計が合っていません（同期していないか、進んでいます）。水位は未確認になるか、受け付けられません",
        "観測装置の時刻同期（NTPまたはGPS）と通信回線を確認してください。",
        "時計が合いました",
    ),
    NoticeCode.CONTRACT_DIFFERS: Words(
        "観測装置の送信間隔が設定と異なります",
        "edge.yaml と stations.yaml のどちらが正しいか確認し、直してください。未着は stations.yaml で判定します。",
        "観測装置の送信間隔は設定と一致しています",
    ),
    NoticeCode.BRIDGE_CLOCK: Words(
        "時計が信用できません。未来の時刻の観測値も受け入れています",
        "サーバーの時刻同期（timedatectl で確認）を直してください。",
        "時計は正常に戻りました",
    ),
    NoticeCode.NO_BROKER: Words(
        "MQTTブローカーに接続できず、どの観測所のデータも受け取れません",
        "ブローカーが動いているか、ネットワークとパスワードが正しいかを確認してください。その間の水位は不明です。",
        "MQTTブローカーに再び接続しました",
    ),
    NoticeCode.NO_DATA: Words(
        "ブローカーに接続していますが、どの観測装置からもデータが届きません",
        "ブローカーのアクセス権（ACL）と、観測装置側の通信回線を確認してください。その間の水位は不明です。",
        "観測装置からのデータが再び届いています",
    ),
    NoticeCode.STORE_NEARLY_FULL: Words(
        "データベースが上限の8割に達し、過去分の受信を止めています（現在の観測は続いています）",
        "InfluxDBへの書き込みが進んでいるかを確認するか、上限を増やしてください。過去分は観測装置に残っています。",
        "データベースに余裕が戻り、過去分の受信を再開しました",
    ),
    NoticeCode.STORE_FULL: Words(
        "データベースが上限の9割5分に達し、古い観測データを間引いています",
        "至急、InfluxDBを復旧するか、上限を増やしてください。",
        "データベースの間引きは止まりました",
    ),
    NoticeCode.DISK_FULL: Words(
        "ディスクが満杯です。警報用の予備領域で動いています",
        "至急、ディスクの空きを作ってください。観測データは観測装置に残ります。",
        "ディスクに空きが戻りました",
    ),
    NoticeCode.LONG_LOST: Words(
        "1日以上、使える観測値が届いていません。その間の水位などは不明です",
        "電源・通信回線・計器の点検と復旧を手配してください。点検中は suimon alert maintenance begin で登録できます。",
        "1日以上続いた欠測は終わりました（観測の再開、点検の登録、または担当者の終了）",
    ),
    NoticeCode.RAIN_UNVERIFIED: Words(
        "雨量計の検定の有効期限が60日以内に切れるか、すでに切れています",
        "検定の受検または検定済みの雨量計への交換を手配し、stations.yaml の verified_until を改めてください。",
        "雨量計の検定は有効です",
    ),
    NoticeCode.TIDE_TABLE_ENDS: Words(
        "天文潮位表の期間が30日以内に終わるか、すでに終わっています。終わると偏差と満潮時刻は分からなくなります",
        "翌年の潮位表を設定フォルダーに置き、stations.yaml の tide から指定してください。",
        "天文潮位表は更新されています",
    ),
    NoticeCode.INFLUX_WAITS: Words(
        "InfluxDBに書き込めず、観測データはサーバー内で待っています（警報は通常どおりです）",
        "InfluxDBの稼働、トークン、保存先の名前を確認してください。",
        "InfluxDBへの書き込みを再開しました",
    ),
    NoticeCode.ORION_WAITS: Words(
        "データ連携基盤（コンテキストブローカー）に最新値を送れません（警報は通常どおりです）",
        "連携基盤の稼働、トークン、サービス名を確認してください。復旧後は、その時点の最新値を送ります。",
        "データ連携基盤への送信を再開しました",
    ),
    NoticeCode.BULLETINS_UNHEARD: Words(
        "気象庁の防災情報を受信できません（自前の水位の警報は通常どおりです）",
        "監視サーバーのインターネット接続を確認し、その間の発表は気象庁ホームページなど別の手段で確認してください。",
        "気象庁の防災情報の受信を再開しました（受信できなかった間の発表も取り込みます）",
    ),
    NoticeCode.QUOTA_LOW: Words(
        "通報手段の送信枠の8割を使いました",
        "枠を増やすか、低い段階の通報の宛先を減らしてください。"
        "5段階の4以上（氾濫危険水位、通行止め基準など）の通報は枠にかかわらず送ります。",
        "通報手段の送信枠に余裕が戻りました",
    ),
    NoticeCode.QUOTA_SPENT: Words(
        "通報手段の送信枠を使い切りました。この手段では、5段階の4以上の通報だけを送ります",
        "至急、枠を増やすか、ほかの手段の宛先を加えてください。",
        "通報手段の送信枠が戻りました",
    ),
    NoticeCode.CAP_WAITS: Words(
        "CAP文書の公開用フォルダに書き込めません。文書はサーバー内で待っています（警報は通常どおりです）",
        "フォルダの有無、空き容量、書き込み権限を確認してください。",
        "CAP文書の公開用フォルダへの書き込みを再開しました",
    ),
    NoticeCode.PAPER_WAITS: Words(
        "全観測所一覧（印刷用）をフォルダに書き込めません。印刷できる一覧は古いままです（警報は通常どおりです）",
        "フォルダの有無、空き容量、書き込み権限を確認してください。",
        "全観測所一覧（印刷用）の書き込みを再開しました",
    ),
}

EN: dict[NoticeCode, Words] = {
    NoticeCode.SPOOL_DAMAGED: Words(
        "the spool file was damaged; it was set aside and a new one begun",
        "The card may be wearing out: replace it at the next visit, and keep the file that was set aside.",
        "the spool file is sound",
    ),
    NoticeCode.SPOOL_HALF: Words(
        "half of the spool is filled with samples that have no receipt",
        "Look at the link and at what the bridge receives. Nothing is lost so far.",
        "less than half of the spool is filled again",
    ),
    NoticeCode.SPOOL_NEARLY_FULL: Words(
        "four fifths of the spool are filled with samples that have no receipt",
        "Once it is full, old samples are thinned. Look at the link and at what the bridge receives, now.",
        "less than four fifths of the spool are filled again",
    ),
    NoticeCode.SPOOL_THINNED: Words(
        "the spool is full and old samples are thinned",
        "Restore the link, or raise the spool's max_size. 'suimon gaps' shows what was given up.",
        "no more samples are thinned",
    ),
    NoticeCode.CARD_REFUSES: Words(
        "the card cannot be written; samples are held in memory alone and a power cut would lose them",
        "Do not switch the device off. Look at the card's free space and state, and replace it.",
        "the card can be written again",
    ),
    NoticeCode.DEVICE_CLOCK: Words(
        "the device's clock is not set, or ahead; its levels count as unconfirmed, or are refused",
        "Look at the device's time synchronisation (NTP or GPS) and its link.",
        "the device's clock is set",
    ),
    NoticeCode.CONTRACT_DIFFERS: Words(
        "the device reports by another contract than stations.yaml states",
        "See which of edge.yaml and stations.yaml is right. Silence is judged by stations.yaml.",
        "the device reports by the contract in stations.yaml",
    ),
    NoticeCode.BRIDGE_CLOCK: Words(
        "the clock is not believed; observations from the future are taken as they are",
        "Mend the server's time synchronisation; 'timedatectl' shows it.",
        "the clock is believed again",
    ),
    NoticeCode.NO_BROKER: Words(
        "the MQTT broker cannot be reached, so no station's data arrive",
        "See whether the broker runs, and whether network and password are right. Levels are unknown meanwhile.",
        "connected to the MQTT broker again",
    ),
    NoticeCode.NO_DATA: Words(
        "connected to the broker, but nothing arrives from any device",
        "Look at the broker's ACL and at the devices' link. Levels are unknown meanwhile.",
        "data arrive from the devices again",
    ),
    NoticeCode.STORE_NEARLY_FULL: Words(
        "the store has reached 80 % of its ceiling; backlog is paused, live observations go on",
        "See whether InfluxDB takes points, or raise the ceiling. Backlog stays on the devices.",
        "the store has room again; backlog goes on",
    ),
    NoticeCode.STORE_FULL: Words(
        "the store has reached 95 % of its ceiling; old readings are thinned",
        "Bring InfluxDB back or raise the ceiling, now.",
        "no more readings are thinned",
    ),
    NoticeCode.DISK_FULL: Words(
        "the disk is full; alerts run on the space kept in reserve",
        "Make room on the disk, now. Readings stay on the devices.",
        "the disk has room again",
    ),
    NoticeCode.LONG_LOST: Words(
        "nothing usable has come for a day or more; what it would measure is unknown",
        "Have power, line and gauge looked at. While somebody works there: suimon alert maintenance begin.",
        "the loss that lasted for a day is over (data again, maintenance, or closed by staff)",
    ),
    NoticeCode.RAIN_UNVERIFIED: Words(
        "the verification of a rain gauge ends within 60 days, or has ended",
        "Have the gauge verified or replaced, then correct verified_until in stations.yaml.",
        "the rain gauge is verified",
    ),
    NoticeCode.TIDE_TABLE_ENDS: Words(
        "a table of the astronomical tide ends within 30 days, or has ended; then deviation and high water are unknown",
        "Put next year's table into the configuration's folder and name it under 'tide' in stations.yaml.",
        "the table of the astronomical tide reaches further again",
    ),
    NoticeCode.INFLUX_WAITS: Words(
        "InfluxDB takes no points; they wait in the store. Alerts are not affected",
        "See whether InfluxDB runs, and whether token and bucket are right.",
        "InfluxDB takes points again",
    ),
    NoticeCode.ORION_WAITS: Words(
        "the context broker does not take the latest values. Alerts are not affected",
        "See whether it runs, and whether token and service are right. The values of then go when it does.",
        "the context broker takes the latest values again",
    ),
    NoticeCode.BULLETINS_UNHEARD: Words(
        "the Meteorological Agency's bulletins cannot be received. Alerts of our own gauges are not affected",
        "See whether this server reaches the feed, and follow the agency's bulletins by other means meanwhile.",
        "bulletins are received again; what was missed is fetched",
    ),
    NoticeCode.QUOTA_LOW: Words(
        "four fifths of a medium's quota are spent",
        "Raise the quota, or send fewer low ranks by it. Ranks 4 and 5 are sent whatever the quota says.",
        "the medium's quota has room again",
    ),
    NoticeCode.QUOTA_SPENT: Words(
        "a medium's quota is spent; by it only ranks 4 and 5 are sent",
        "Raise the quota, or give its recipients another medium, now.",
        "the medium may send again",
    ),
    NoticeCode.CAP_WAITS: Words(
        "the folder of the CAP feed cannot be written; documents wait in the store. Alerts are not affected",
        "See whether the folder is there, has room, and may be written by the bridge.",
        "the CAP feed is written again",
    ),
    NoticeCode.PAPER_WAITS: Words(
        "the sheet of all stations cannot be written; what can be printed is old. Alerts are not affected",
        "See whether the folder is there, has room, and may be written by the bridge.",
        "the sheet of all stations is written again",
    ),
}


def japanese(said: Said) -> tuple[str, str]:
    """(subject, text)"""
    words, value = JA[said.code], f"（{said.detail}）" * bool(said.detail)
    names = "・".join(s.name_ja for s in said.stations)
    place = f"{names}（{said.device}）" if said.stations else said.device or BRIDGE_JA
    if said.ended_ms is not None:
        since = f"{time_ja(said.since_ms)}から{time_ja(said.ended_ms)}まで：{words.what}"
        return f"【{SENDER_JA}】{place} {words.over}", f"{place}：{words.over}\n{since}"
    subject = f"【{SENDER_JA}】{place} {words.what}{value}"
    return subject, f"{place}：{words.what}{value}\n{time_ja(said.since_ms)}から\n{words.remedy}"


def english(said: Said) -> tuple[str, str]:
    """(subject, text)"""
    words, value = EN[said.code], f" ({said.detail})" * bool(said.detail)
    names = ", ".join(s.name_en for s in said.stations)
    place = f"{names} ({said.device})" if said.stations else said.device or BRIDGE_EN
    if said.ended_ms is not None:
        since = f"From {time_en(said.since_ms)} to {time_en(said.ended_ms)}: {words.what}"
        return f"[{SENDER_EN}] {place}: {words.over}", f"{place}: {words.over}\n{since}"
    subject = f"[{SENDER_EN}] {place}: {words.what}{value}"
    return subject, f"{place}: {words.what}{value}\nSince {time_en(said.since_ms)}\n{words.remedy}"
