# Grafana with its plugin for ClickHouse: where it runs there may be no internet to fetch it from.
FROM grafana/grafana:12.1.1
ENV GF_PATHS_PLUGINS=/usr/share/grafana/plugins-installed
USER root
RUN grafana cli --pluginsDir "$GF_PATHS_PLUGINS" plugins install grafana-clickhouse-datasource 4.20.0
USER grafana
