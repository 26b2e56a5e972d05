import { describe } from 'vitest';
import { survivesKills } from './survives-kills.ts';

describe('killed between any two stages, the jobs run in one process', () =>
  survivesKills(async () => ({ settings: {}, stop: async () => {} })));
