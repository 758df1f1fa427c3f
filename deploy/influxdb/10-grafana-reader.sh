#!/bin/bash
# Runs once, at the first start of the InfluxDB container, after its bucket was made. Grafana asks in InfluxQL, which
# 1.x, 2.x (given this mapping) and 3.x answer alike; Flux ends with 2.x. Grafana may read this bucket and no more.
set -euo pipefail
influx v1 dbrp create --org "$DOCKER_INFLUXDB_INIT_ORG" --bucket-id "$DOCKER_INFLUXDB_INIT_BUCKET_ID" \
  --db suimon --rp autogen --default
influx v1 auth create --org "$DOCKER_INFLUXDB_INIT_ORG" --read-bucket "$DOCKER_INFLUXDB_INIT_BUCKET_ID" \
  --username grafana --password "$(cat /run/secrets/influx_grafana_password)"
