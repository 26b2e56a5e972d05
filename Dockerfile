FROM node:24-bookworm-slim AS build
WORKDIR /prelim
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build && npm prune --omit=dev

FROM node:24-bookworm-slim
WORKDIR /prelim
ENV NODE_ENV=production PRELIM_DATA=/data
COPY --from=build /prelim/package.json ./
COPY --from=build /prelim/node_modules ./node_modules
COPY --from=build /prelim/dist ./dist
COPY --from=build /prelim/models ./models
COPY --from=build /prelim/protocols ./protocols
COPY --from=build /prelim/ris-profiles ./ris-profiles
COPY --from=build /prelim/terminology ./terminology
COPY --from=build /prelim/fhir-profiles ./fhir-profiles
COPY --from=build /prelim/access-roles ./access-roles
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8080 2575
# Alive, not ready: a database that is away for a while is no reason to start the server anew. Behind TLS of its own the answer is another's to ask for.
HEALTHCHECK --start-period=30s --interval=10s --timeout=5s \
  CMD ["node", "-e", "if (!process.env.HTTP_TLS_CERT) fetch(`http://127.0.0.1:${process.env.PORT || 8080}/health/live`).then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# As `npm start` has it: V8 lets its young space grow to 128 MB, and glibc keeps memory for eight times as many threads as there are cores.
ENV MALLOC_ARENA_MAX=2
CMD ["node", "--min-semi-space-size=16", "--max-semi-space-size=16", "dist/server/main.js"]
