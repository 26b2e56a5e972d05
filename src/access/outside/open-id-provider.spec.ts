import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OpenIdProviderPeer } from '../../../test/peers/openid-provider.ts';
import { systemClock } from '../../kernel/clock.ts';
import { ClientKeys } from '../oauth/client-keys.ts';
import { SigningKeys } from '../signing-key.ts';
import { OpenIdProvider, readProvider } from './open-id-provider.ts';

const BASE = 'https://prelim.example';
const read = (more: object) =>
  readProvider(JSON.stringify({ issuer: 'https://login.example', clientId: 'prelim', ...more }));

describe('the provider of AUTH_OPENID', () => {
  let peer: OpenIdProviderPeer;
  let folder: string;
  let ours: SigningKeys;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'prelim-openid-'));
    ours = new SigningKeys(join(folder, 'keys'));
    peer = await OpenIdProviderPeer.start();
  });
  afterAll(async () => {
    await peer.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** The whole way of a person, without the pages of ours. */
  async function signIn(more: object): Promise<string> {
    const settings = readProvider(JSON.stringify({ issuer: peer.issuer, clientId: peer.clientId, ...more }));
    if (!settings) throw new Error('no provider');
    const rules = { hosts: [peer.host], networks: [] };
    const keys = new ClientKeys(systemClock, rules);
    const provider = new OpenIdProvider(settings, rules, keys, BASE, ours);
    const { url, underWay } = await provider.begin('request-1');
    const back = await fetch(url, { redirect: 'manual' });
    const answer = new URL(back.headers.get('location') ?? '').searchParams;
    return (await provider.finish(answer.get('code') ?? '', answer.get('iss') ?? '', underWay)).subject;
  }

  it.each(['RS384', 'ES384'] as const)(
    'takes a new assertion each time, signed %s with a key that we publish, in place of a secret',
    async (clientAlgorithm) => {
      peer.clientKeys = () => ours.publicSet();
      peer.assertions.length = 0;
      for (const _ of [1, 2]) expect(await signIn({ clientAlgorithm })).toBe(`${peer.issuer}#u-1`);
      const [first, second] = peer.assertions;
      expect(first?.header).toEqual({ alg: clientAlgorithm, typ: 'JWT', kid: expect.any(String) });
      expect(first?.payload).toMatchObject({ iss: 'prelim', sub: 'prelim', aud: `${peer.issuer}/token` });
      expect(second?.payload.jti).not.toBe(first?.payload.jti);
      // One that knows other keys signs nobody in, and one that wants a secret neither.
      const others = new SigningKeys(join(folder, `others-${clientAlgorithm}`));
      await others.current(clientAlgorithm);
      peer.clientKeys = () => others.publicSet();
      await expect(signIn({ clientAlgorithm })).rejects.toThrow('401');
      peer.clientKeys = null;
      await expect(signIn({ clientAlgorithm })).rejects.toThrow('401');
      expect(await signIn({ clientSecret: peer.clientSecret })).toBe(`${peer.issuer}#u-1`);
    },
  );

  it('may want its issuer as the audience of what we sign', async () => {
    peer.clientKeys = () => ours.publicSet();
    peer.wantedAudience = peer.issuer;
    await expect(signIn({ clientAlgorithm: 'ES384' })).rejects.toThrow('401');
    const signed = { clientAlgorithm: 'ES384', clientAudience: peer.issuer };
    expect(await signIn(signed)).toBe(`${peer.issuer}#u-1`);
    peer.wantedAudience = null;
    peer.clientKeys = null;
  });

  it('knows us by a secret, by a key of ours, or by our name alone', () => {
    expect(read({})).toMatchObject({ clientSecret: null, clientAlgorithm: null });
    expect(read({ clientSecret: 's' })).toMatchObject({ clientSecret: 's', clientAlgorithm: null });
    expect(read({ clientAlgorithm: 'RS384' })).toMatchObject({
      clientSecret: null,
      clientAlgorithm: 'RS384',
      clientAudience: null,
    });
  });

  it.each([
    ['a secret and a key', { clientSecret: 's', clientAlgorithm: 'ES384' }],
    ['a kind of key that SMART does not name', { clientAlgorithm: 'HS256' }],
    ['an empty secret', { clientSecret: '' }],
    ['a secret that is no text', { clientSecret: 7 }],
    ['an audience of nothing that is signed', { clientSecret: 's', clientAudience: 'https://a.example' }],
    ['an empty audience', { clientAlgorithm: 'ES384', clientAudience: '' }],
  ])('with %s stops the start', (_what, more) => {
    expect(() => read(more)).toThrow('AUTH_OPENID must be');
  });
});
