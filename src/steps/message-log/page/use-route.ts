import { useEffect, useState } from 'preact/hooks';

/** What is shown: `#/lanes`, `#/messages?status=held`, `#/message/in/12`. The address holds ids and states, never a number of a patient. */
export interface Route {
  readonly view: 'lanes' | 'messages' | 'message' | 'dead' | 'log';
  readonly parts: readonly string[];
  readonly search: URLSearchParams;
}

const VIEWS: readonly Route['view'][] = ['lanes', 'messages', 'message', 'dead', 'log'];

export function useRoute(): Route {
  const [route, setRoute] = useState(readRoute);
  useEffect(() => {
    const onHash = () => setRoute(readRoute());
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);
  return route;
}

export const messageLink = (direction: string, id: string) => `#/message/${direction}/${id}`;

function readRoute(): Route {
  const [path = '', search = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const [name = '', ...parts] = path.split('/');
  const view = VIEWS.find((one) => one === name) ?? 'lanes';
  return { view, parts, search: new URLSearchParams(search) };
}
