# Built in one image, run in another: no compiler, no pip cache and no root where it runs.
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/gateway
COPY requirements/image.lock requirements/image.lock
RUN /opt/gateway/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/image.lock
COPY pyproject.toml ./
COPY gateway gateway
COPY providers.d providers.d
COPY sinks.d sinks.d
RUN /opt/gateway/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.12-slim
COPY --from=build /opt/gateway /opt/gateway
RUN useradd --uid 65532 --no-create-home --shell /usr/sbin/nologin gateway && mkdir /data /etc/gateway && chown gateway /data
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1 \
    GATEWAY_HOST=0.0.0.0 GATEWAY_PORT=8080 GATEWAY_CONFIG=/etc/gateway GATEWAY_STORE=sqlite:////data/gateway.db
USER 65532
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['GATEWAY_PORT']}/healthz\", timeout=2)"]
ENTRYPOINT ["gateway"]
CMD ["serve"]
