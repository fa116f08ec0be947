# One image for every part: the command chooses `manager` (with its broker and database inside), `worker` or `broker`.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /muster
COPY package.json package-lock.json .npmrc LICENSE ./
RUN npm ci --ignore-scripts --no-audit
COPY schema schema
COPY broker broker
COPY manager manager
COPY worker worker
COPY cli cli
COPY scripts scripts
RUN npm run build

FROM node:24.21.0-bookworm-slim
WORKDIR /muster
RUN install -d -o node -g node -m 0700 /data /users
COPY --from=build /muster/dist ./
# Inside a container loopback reaches nobody; which ports are published is for whoever runs it to say.
ENV MUSTER_DATA_DIR=/data MUSTER_HTTP_HOST=0.0.0.0 MUSTER_BROKER_HOST=0.0.0.0
VOLUME /data
EXPOSE 7070 7071
USER node
HEALTHCHECK --interval=10s --timeout=10s --start-period=60s --start-interval=1s CMD ["node", "/muster/muster.js", "health"]
ENTRYPOINT ["node", "/muster/muster.js"]
CMD ["manager"]
