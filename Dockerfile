# One file for every image.
#
#   docker build --build-arg SERVICE=pairing -t shoal-pairing:0.1.0 .      a service, by its folder's name
#   docker build --build-arg SERVICE=all -t shoal-all:0.1.0 .              all of them, as docker-compose.yml runs them
#   docker build --target instance -t shoal-instance:0.1.0 .               what instances on Kubernetes run
#
# PYTHON may be any image with Python 3.11 or newer and its venv module.
ARG PYTHON=python:3.13-slim-bookworm

# Everything is installed here, pinned, into one folder that the result takes over; what installs stays behind.
FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_CONSTRAINT=/src/constraints.txt \
    PATH=/opt/pip/bin:$PATH
WORKDIR /src
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/shoal
COPY constraints.txt .

# What is to be fetched. These lists stay as they are while only our own sources change, and so do the layers made of them.
FROM build AS wanted
ARG SERVICE
COPY . .
RUN mkdir /wanted \
    && python tools/members.py --builds all > /wanted/builds \
    && python tools/members.py --others "agent[instance]" > /wanted/instance \
    && python tools/members.py --others $SERVICE > /wanted/service \
    && touch -d @0 /wanted/*

FROM build AS build-service
ARG SERVICE
RUN test -n "$SERVICE" || { echo "SERVICE is not set: --build-arg SERVICE=pairing" >&2; exit 1; }
COPY --from=wanted /wanted/builds /wanted/service /wanted/
RUN pip install --quiet -r /wanted/builds \
    && pip --python /opt/shoal/bin/python install --quiet -r /wanted/service
COPY . .
RUN pip wheel --quiet --no-deps --no-build-isolation -w /wheels $(python tools/members.py "$SERVICE") \
    && pip --python /opt/shoal/bin/python install --quiet --no-deps --no-index /wheels/*.whl \
    && pip --python /opt/shoal/bin/python check \
    && cp tools/healthcheck.py /opt/shoal/ \
    && /opt/shoal/bin/python -c "from shoal.service import installed; print(*(s.port for s in installed().values()))" > /opt/shoal/ports \
    && /opt/shoal/bin/shoal list

FROM build AS build-instance
COPY --from=wanted /wanted/builds /wanted/instance /wanted/
RUN pip install --quiet -r /wanted/builds \
    && pip --python /opt/shoal/bin/python install --quiet -r /wanted/instance
COPY libs/agent libs/agent
RUN pip wheel --quiet --no-deps --no-build-isolation -w /wheels ./libs/agent \
    && pip --python /opt/shoal/bin/python install --quiet --no-deps --no-index /wheels/*.whl \
    && pip --python /opt/shoal/bin/python check

# What an instance runs: the agent with its SSH server (2222) and screens (6081, 6082); its own pages, 3000 and 8080, are
# reached through SSH. Its volumes are mounted below /root, so others than root must be able to walk through it.
FROM ${PYTHON} AS instance
LABEL org.opencontainers.image.title="shoal-instance" \
      org.opencontainers.image.description="An agent with its SSH server and screens" \
      org.opencontainers.image.version="0.1.0"
RUN useradd --uid 10001 --home-dir /root/clawd --shell /bin/bash --no-create-home shoal \
    && mkdir -p /root/.clawdbot /root/clawd /root/.config/google-chrome /home/linuxbrew/.linuxbrew \
    && chmod 755 /root /root/.config \
    && chown 10001:10001 /root/.clawdbot /root/clawd /root/.config/google-chrome /home/linuxbrew/.linuxbrew
COPY --from=build-instance /opt/shoal /opt/shoal
ENV PATH=/opt/shoal/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SHOAL_INSTANCE_DIR=/root/.clawdbot/shoal SHOAL_INSTANCE_GIVEN=/etc/shoal/instance
USER 10001:10001
WORKDIR /root/clawd
EXPOSE 2222 6081 6082
ENTRYPOINT ["/opt/shoal/bin/shoal-agent", "instance"]

FROM ${PYTHON} AS service
ARG SERVICE
LABEL org.opencontainers.image.title="shoal-${SERVICE}" \
      org.opencontainers.image.description="Shoal: the control plane for fleets of AI agents" \
      org.opencontainers.image.version="0.1.0"
# Folders that named volumes begin as: they take over whose these are.
RUN useradd --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin --no-create-home shoal \
    && for each in own shared admin nats gateway pairing telemetry-ingest metrics-query agent-runtime \
           instance-orchestrator ssh-manager; do mkdir -p "/run/shoal/$each"; done \
    && mkdir -p /var/lib/shoal /var/lib/nats /backup && chown -R 10001:10001 /run/shoal /var/lib/shoal /var/lib/nats /backup
COPY --from=build-service /opt/shoal /opt/shoal
ENV PATH=/opt/shoal/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 SHOAL_HOST=0.0.0.0
USER 10001:10001
WORKDIR /tmp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=60s --retries=3 CMD ["/opt/shoal/bin/python", "/opt/shoal/healthcheck.py"]
ENTRYPOINT ["/opt/shoal/bin/shoal"]
# An image of one service has only that one to run.
CMD ["run", "all"]
