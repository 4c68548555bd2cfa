# The image: tensord and tensorctl, the libraries that they load, and nothing else: no shell, no package manager.
#
# deploy/image.sh builds it without a Docker engine; with one: docker build --build-arg SOURCE_DATE_EPOCH=0 .
# Runs as uid 65532 with a read-only root file system and no capabilities. Models are expected at /models, and a volume that
# uid 65532 can write at /run/tensord, where the socket appears.
ARG BASE=debian:bookworm-slim
FROM ${BASE} AS build
WORKDIR /source
ENV DEBIAN_FRONTEND=noninteractive
COPY deploy/install_packages.sh deploy/
# Further packages and options of cmake, for a compiler cache say.
ARG EXTRA_PACKAGES=""
RUN deploy/install_packages.sh build \
 && if [ -n "${EXTRA_PACKAGES}" ]; then apt-get install -y -qq --no-install-recommends ${EXTRA_PACKAGES} >/dev/null; fi
COPY . .
ARG CMAKE_OPTIONS=""
RUN cmake --preset release -DTENSORD_BUILD_TESTS=OFF ${CMAKE_OPTIONS} >/dev/null \
 && cmake --build build/release --target tensord_image
ARG VERSION=0.1.0
RUN deploy/image/make_root.sh build/release "${VERSION}" /out

# An example of a worker, with a shell and tensorctl, for deploy/kubernetes: docker build --target worker .
FROM ${BASE} AS worker
COPY --from=build /out/usr/ /usr/
COPY deploy/image/example_worker.sh /usr/local/bin/
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/example_worker.sh"]

FROM scratch
COPY --from=build /out/ /
# An unnamed volume that is mounted there gets this owner.
COPY --from=build --chown=65532:65532 /out/run/tensord/ /run/tensord/
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.title="tensord" \
      org.opencontainers.image.description="Serves tensors out of safetensors files over gRPC" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="scratch"
# Flags beat these.
ENV TENSORD_STORE=/models \
    TENSORD_LISTEN=unix:/run/tensord/tensord.sock \
    TENSORD_ADDRESS=unix:///run/tensord/tensord.sock
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 CMD ["/usr/local/bin/tensorctl", "probe"]
ENTRYPOINT ["/usr/local/bin/tensord"]
