import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redisMissing, startRedis } from '../peers/redis.ts';
import { describeWithPeer } from '../peers/required.ts';
import {
  expectExactlyOnce,
  type FlowWorld,
  makeWorld,
  order,
  outboxEmpty,
  stow,
  until,
} from './flow-world.ts';
import { tinyStudy } from './studies.ts';
import { survivesKills } from './survives-kills.ts';
import { makeTinyModel } from './tiny-model.ts';

describeWithPeer('Bull on a real Redis', redisMissing(), () => {
  describe('killed between any two stages', () =>
    survivesKills(async () => {
      const redis = await startRedis();
      // A process per model is killed along in the other run; without it each of the many starts is quicker.
      const settings = { REDIS_URL: redis.url, INFERENCE_ISOLATION: 'thread' };
      return { settings, stop: redis.stop };
    }));

  describe('Redis itself', () => {
    let world: FlowWorld;
    let redis: Awaited<ReturnType<typeof startRedis>>;
    let model: Awaited<ReturnType<typeof makeTinyModel>>;
    beforeAll(async () => {
      redis = await startRedis();
      model = await makeTinyModel();
      world = await makeWorld({ settings: { REDIS_URL: redis.url, PRELIM_MODELS: model.folder } });
    });
    afterAll(async () => {
      await world.close();
      await redis.stop();
      await model.remove();
    });

    it('flushed again and again in the middle of several studies: each is reported and sent once', async () => {
      const studies = Array.from({ length: 6 }, () => tinyStudy());
      for (const study of studies) expect(await order(world, study)).toBe('AA');
      const client = new Redis(redis.url);
      const flushed: number[] = [];
      for (const study of studies) {
        expect((await stow(world.server, study.files)).status).toBe(200);
        flushed.push(await client.dbsize());
        await client.flushall();
      }
      for (let round = 0; round < 5; round += 1) {
        await until(async () => (await client.dbsize()) > 0);
        await client.flushall();
      }
      await client.quit();
      expect(Math.max(...flushed)).toBeGreaterThan(0);
      for (const study of studies) await expectExactlyOnce(world, study);
      await outboxEmpty(world);
    }, 90_000);

    it('carries ids and nothing else', async () => {
      const study = tinyStudy();
      await order(world, study);
      world.ris.script({ do: 'delay', ms: 1_500 });
      expect((await stow(world.server, study.files)).status).toBe(200);
      const client = new Redis(redis.url);
      const seen = new Set<string>();
      await until(async () => {
        for (const key of await client.keys('prelim:*')) {
          if ((await client.type(key)) === 'hash') seen.add((await client.hget(key, 'data')) ?? '{}');
        }
        return seen.size > 2;
      });
      await client.quit();
      for (const data of seen)
        expect(Object.keys(JSON.parse(data)).filter((name) => name !== 'id')).toEqual([]);
      await expectExactlyOnce(world, study);
    }, 60_000);
  });
});
