# The service, without a store: docker-compose.yml adds one. Everything is installed from the hash-pinned lock.

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/dedup
# A folder wheels/ beside this file, where there is one, takes the place of a package index.
COPY requirements-runtime.lock wheel[s] ./
RUN set -- $(ls ./*.whl >/dev/null 2>&1 && echo --no-index --find-links .) \
    && /opt/dedup/bin/pip install "$@" --no-deps --only-binary :all: --require-hashes -r requirements-runtime.lock
COPY pyproject.toml setup.py README.md LICENSE ./
COPY seeds seeds
COPY dedup dedup
RUN /opt/dedup/bin/pip install --no-index --no-deps --no-build-isolation . \
    && /opt/dedup/bin/pip uninstall --yes --quiet setuptools pip

FROM python:3.11-slim-bookworm
COPY --from=build /opt/dedup /opt/dedup
# The home directory holds compiled kernels and, where the store is embedded, the data.
RUN useradd --system --uid 10001 --user-group --create-home --home-dir /var/lib/dedup dedup
USER dedup
WORKDIR /var/lib/dedup
VOLUME /var/lib/dedup
ENV PATH=/opt/dedup/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DEDUP_LISTEN=0.0.0.0:7700 \
    DEDUP_DATA_DIR=/var/lib/dedup/data \
    DEDUP_LOG_FORMAT=json
EXPOSE 7700
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s --retries=3 \
    CMD ["dedup", "health", "--target", "127.0.0.1:7700"]
CMD ["dedup", "serve"]
