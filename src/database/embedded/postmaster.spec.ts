import { describe, expect, it } from 'vitest';
import { sharedBuffersMb } from './postmaster.ts';

const GB = 2 ** 30;

describe("PostgreSQL's own cache", () => {
  it.each([
    [0.5 * GB, 128],
    [2 * GB, 128],
    [4 * GB, 256],
    [8 * GB, 512],
    [16 * GB, 1_024],
    [256 * GB, 1_024],
  ])('on a machine with %d bytes is %d MB', (bytes, megabytes) => {
    expect(sharedBuffersMb(bytes)).toBe(megabytes);
  });
});
