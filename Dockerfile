FROM python:3.12-slim AS build

ARG DEVICE=cpu

RUN python -m venv /opt/streamscore
ENV PATH=/opt/streamscore/bin:$PATH
WORKDIR /src

# Copied before the source, so that an edit of the source does not install TensorFlow again.
COPY requirements/${DEVICE}.txt requirements.txt
RUN pip install --no-cache-dir --no-compile --require-hashes --requirement requirements.txt

COPY pyproject.toml README.md LICENSE ./
COPY streamscore streamscore
COPY trainer trainer
# Byte code is made here, because the user may not write it. Without it, compiling TensorFlow costs each start ten seconds.
# It is unchecked, because copying between stages may change the times that it would be checked against.
RUN pip install --no-cache-dir --no-compile --no-deps --no-build-isolation . \
    && python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/streamscore/lib


FROM python:3.12-slim

ARG DEVICE=cpu

LABEL org.opencontainers.image.title="StreamScore" \
      org.opencontainers.image.description="Real-time risk scoring of Kafka events with a Keras model" \
      org.opencontainers.image.licenses="Apache-2.0" \
      io.streamscore.device="${DEVICE}"

# A new named volume takes the owner of the folder on which it is mounted.
RUN install --directory --owner=10001 --group=10001 /models /archive

COPY --from=build /opt/streamscore /opt/streamscore

# /tmp is the only folder that a read-only container can write to.
ENV PATH=/opt/streamscore/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    STREAMSCORE_HTTP__HOST=0.0.0.0

# A number, because Kubernetes cannot tell from a name that the user is not root.
USER 10001:10001
WORKDIR /tmp
EXPOSE 9464

# Any answer but 200 raises an error, and Python ends with 1.
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9464/livez', timeout=3)"]

ENTRYPOINT ["streamscore"]
CMD ["worker"]
