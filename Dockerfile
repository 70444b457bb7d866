# Not built where it was written: no container engine was there. What can be tried without one is tried by test/docker.test.ts.
#
#   docker build -t foundrite .
#   docker run --rm -p 127.0.0.1:3686:3686 foundrite --rate 0 --now 2026-06-01T06:58:00Z
#   docker run --rm -p 127.0.0.1:3686:3686 -e FOUNDRITE_CONTROL_TOKEN=... -v worlds:/data foundrite
#
# Inside a container the emulator must listen on all of its addresses, and whoever reaches them could move time and set faults. So
# control is off until a token is given, as in the third line; health, ready and the authority's certificate answer all the same.

FROM node:22-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json openapi.yaml README.md LICENSE ./
COPY contracts contracts
COPY emulator emulator
COPY scenarios scenarios
COPY cli cli
RUN npm run build && npm pack --ignore-scripts --pack-destination /tmp
# As the lock file says it, without what only building needs, and without the sources that the native module brings along.
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund \
  && rm -rf node_modules/better-sqlite3/deps node_modules/better-sqlite3/src \
  && mkdir -p /app && tar -xzf /tmp/foundrite-*.tgz -C /app --strip-components=1 \
  && mv node_modules /app/node_modules

FROM node:22-slim
COPY --from=build /app /app
# One volume for both: the worlds, and the certificate authority, which clients would have to trust anew otherwise.
RUN mkdir /data && chown node:node /data
ENV FOUNDRITE_HOST=0.0.0.0 \
    FOUNDRITE_PORT=3686 \
    FOUNDRITE_CONTROL=auto \
    FOUNDRITE_DATA_DIR=/data/worlds \
    FOUNDRITE_HOME=/data/home \
    FOUNDRITE_TLS_NAME=foundrite
# Other containers reach it by this name, its service's; another one is set by -e FOUNDRITE_TLS_NAME=name,name.
USER node
WORKDIR /data
VOLUME /data
EXPOSE 3686
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.FOUNDRITE_PORT || 3686}/_emulator/ready`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# The exec form, so that the SIGTERM of "docker stop" reaches the emulator, which then closes its files.
ENTRYPOINT ["node", "/app/cli/bin.mjs", "start"]
