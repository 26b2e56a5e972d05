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
# As `npm start` has it: V8 lets its young space grow to 128 MB, and glibc keeps memory for eight times as many threads as there are cores.
ENV MALLOC_ARENA_MAX=2
CMD ["node", "--min-semi-space-size=16", "--max-semi-space-size=16", "dist/server/main.js"]
