import type { Settings } from '../../config/settings.ts';
import { readEhrs } from '../outside/ehr.ts';
import { readProvider } from '../outside/open-id-provider.ts';
import { readIssuers } from '../outside/outside-issuers.ts';
import type { OutboundRules } from './fetch-json.ts';

type OutboundSettings = Pick<
  Settings,
  'AUTH_HOSTS' | 'AUTH_NETWORKS' | 'AUTH_OPENID' | 'AUTH_ISSUERS' | 'AUTH_EHRS'
>;

/** Where the key sets of registered clients may be. */
export const clientRules = ({ AUTH_HOSTS, AUTH_NETWORKS }: OutboundSettings): OutboundRules => ({
  hosts: AUTH_HOSTS,
  networks: AUTH_NETWORKS,
});

/** The same, and the hosts of the provider, the EHRs and the issuers that the operator named himself. */
export function operatorRules(settings: OutboundSettings): OutboundRules {
  const provider = readProvider(settings.AUTH_OPENID);
  const named = [
    ...(provider ? [provider.issuer] : []),
    ...readEhrs(settings.AUTH_EHRS).map(({ iss }) => iss),
    ...readIssuers(settings.AUTH_ISSUERS).map(({ jwksUri }) => jwksUri),
  ];
  return {
    hosts: [...settings.AUTH_HOSTS, ...named.map((url) => hostOf(new URL(url)))],
    networks: settings.AUTH_NETWORKS,
  };
}

const hostOf = (url: URL): string =>
  `${url.hostname}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`;
