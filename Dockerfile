FROM python:3.12-slim AS build

ARG DEVICE=cpu

RUN python -m venv /opt/streamscore
ENV PATH=/opt/streamscore/bin:$PATH
WORKDIR /src

# Before the source: an edit of the source must not install TensorFlow again.
COPY requirements/${DEVICE}.txt requirements.txt
RUN pip install --no-cache-dir --no-compile --require-hashes --requirement requirements.txt

COPY pyproject.toml README.md LICENSE ./
COPY streamscore streamscore
COPY trainer trainer
# The user may not write byte code, and TensorFlow compiled at each start costs ten seconds.
# Unchecked: copying between stages need not keep the times that byte code is checked against.
RUN pip install --no-cache-dir --no-compile --no-deps --no-build-isolation . \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/streamscore/lib


FROM python:3.12-slim

ARG DEVICE=cpu

LABEL org.opencontainers.image.title="StreamScore" \
      org.opencontainers.image.description="Real-time risk scoring of Kafka events with a Keras model" \
      org.opencontainers.image.licenses="Apache-2.0" \
      io.streamscore.device="${DEVICE}"

# A new named volume takes over the owner of the folder it is mounted on.
RUN install --directory --owner=10001 --group=10001 /models /archive

COPY --from=build /opt/streamscore /opt/streamscore

# /tmp is the one folder that a read-only container still writes to.
ENV PATH=/opt/streamscore/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    STREAMSCORE_HTTP__HOST=0.0.0.0

# Numeric: Kubernetes cannot tell from a name that it is not root.
USER 10001:10001
WORKDIR /tmp
EXPOSE 9464

# Any answer but 200 raises, and Python then ends with 1.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9464/livez', timeout=3)"]

ENTRYPOINT ["streamscore"]
CMD ["worker"]
