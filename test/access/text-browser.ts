/** A browser without scripts: keeps cookies by host, follows redirects on one server, sends the forms it is shown. */
export class TextBrowser {
  private readonly cookies = new Map<string, Map<string, string>>();
  /** Of the last answer. */
  status = 0;
  text = '';
  url = '';
  headers = new Headers();

  /** Goes to an address, and on to where it is redirected, until `stopAt` begins the address: that one is not asked. */
  async open(url: string, stopAt = 'nowhere:'): Promise<string> {
    return this.go(url, { method: 'GET' }, stopAt);
  }

  /** Sends the form whose action ends so, with what stands in it and these values. */
  async send(action: string, values: Record<string, string>, stopAt = 'nowhere:'): Promise<string> {
    const forms = [...this.text.matchAll(/<form method="(\w+)" action="([^"]*)">([\s\S]*?)<\/form>/g)];
    const form = forms.find((one) => one[2] === action);
    if (!form) throw new Error(`no form ${action} on the page: ${this.text}`);
    const hidden = [...(form[3] ?? '').matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)];
    const fields = new URLSearchParams({
      ...Object.fromEntries(hidden.map((one) => [one[1] ?? '', one[2] ?? ''])),
      ...values,
    });
    const url = new URL(action, this.url);
    if (form[1] === 'get') return this.go(`${url}?${fields}`, { method: 'GET' }, stopAt);
    return this.go(
      url.href,
      { method: 'POST', body: fields, headers: { origin: new URL(this.url).origin } },
      stopAt,
    );
  }

  cookie(host: string, name: string): string | undefined {
    return this.cookies.get(host)?.get(name);
  }

  private async go(url: string, init: RequestInit, stopAt: string): Promise<string> {
    let next = url;
    let request = init;
    for (let hops = 0; hops < 10; hops += 1) {
      if (next.startsWith(stopAt)) {
        this.url = next;
        return next;
      }
      const { host } = new URL(next);
      const jar = this.cookies.get(host) ?? new Map<string, string>();
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(next, {
        ...request,
        redirect: 'manual',
        headers: { ...(request.headers as Record<string, string>), ...(cookie ? { cookie } : {}) },
      });
      for (const line of response.headers.getSetCookie()) {
        const [pair = ''] = line.split(';');
        const at = pair.indexOf('=');
        if (/Max-Age=0\b/.test(line)) jar.delete(pair.slice(0, at));
        else jar.set(pair.slice(0, at), pair.slice(at + 1));
      }
      this.cookies.set(host, jar);
      this.status = response.status;
      this.headers = response.headers;
      this.text = await response.text();
      this.url = next;
      const location = response.headers.get('location');
      if (response.status < 300 || response.status >= 400 || location === null) return next;
      next = new URL(location, next).href;
      request = { method: 'GET' };
    }
    throw new Error('redirected in a circle');
  }
}
