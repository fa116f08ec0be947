# One image for every part: the command chooses `manager` (with its broker and database inside), `worker` or `broker`.
FROM node:24.21.0-bookworm-slim AS packages
WORKDIR /muster
COPY package.json package-lock.json .npmrc ./
# The image has its own Node, so the pinned one (an optional package) is left out.
RUN npm ci --omit=dev --omit=optional --ignore-scripts --no-audit

FROM node:24.21.0-bookworm-slim
WORKDIR /muster
RUN install -d -o node -g node -m 0700 /data
COPY --from=packages /muster/node_modules node_modules
COPY package.json LICENSE ./
COPY schema schema
COPY broker broker
COPY manager manager
COPY worker worker
COPY scripts scripts
# Inside a container loopback reaches nobody; which ports are published is for whoever runs it to say.
ENV MUSTER_DATA_DIR=/data MUSTER_HTTP_HOST=0.0.0.0 MUSTER_BROKER_HOST=0.0.0.0
VOLUME /data
EXPOSE 7070 7071
USER node
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --start-interval=1s CMD ["node", "scripts/muster.mjs", "health"]
ENTRYPOINT ["node", "scripts/muster.mjs"]
CMD ["manager"]
