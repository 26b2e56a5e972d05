import { type Html, html } from './html.ts';

/** Everything a page needs to come back to the request it belongs to. */
interface PageOf {
  /** Id of the authorization request. */
  readonly request: string;
  /** The app that asks. */
  readonly app: string;
}

/** A whole document. No script: the policy of these pages allows none. */
const page = (title: string, body: Html): string =>
  html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} · Prelim</title>
<link rel="stylesheet" href="style.css">
</head>
<body><main><h1>${title}</h1>${body}</main></body>
</html>
`.text;

export interface SignInPage extends PageOf {
  readonly failed: boolean;
  /** Name of the hospital's provider; null: none is set up. */
  readonly provider: string | null;
}

export const signInPage = ({ request, app, failed, provider }: SignInPage): string =>
  page(
    'Sign in',
    html`<p>to go on to <strong>${app}</strong></p>
${provider !== null && html`<p><a class="button" href="open-id/start?request=${request}">Sign in with ${provider}</a></p>`}
<form method="post" action="sign-in">
<input type="hidden" name="request" value="${request}">
<label>Name <input name="name" autocomplete="username" required maxlength="200" autocapitalize="none" spellcheck="false"></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required maxlength="256"></label>
${failed && html`<p role="alert">Name and password do not fit, or the account is locked for a while. Ask your administrator if it stays so.</p>`}
<button>Sign in</button>
</form>`,
  );

export interface PatientChoice {
  readonly id: string;
  readonly name: string;
  readonly birthDate: string;
  readonly number: string;
}

export interface PatientPage extends PageOf {
  readonly name: string;
  /** Null: nothing was looked for yet. */
  readonly found: readonly PatientChoice[] | null;
}

export const patientPage = ({ request, app, name, found }: PatientPage): string =>
  page(
    'Choose a patient',
    html`<p><strong>${app}</strong> works with one patient at a time.</p>
<form method="get" action="continue">
<input type="hidden" name="request" value="${request}">
<label>Name, or patient number <input name="name" value="${name}" required maxlength="100" autocomplete="off" spellcheck="false"></label>
<button>Search</button>
</form>
${found !== null && found.length === 0 && html`<p role="status">No patient that you may see has this name or number.</p>`}
${
  found !== null &&
  found.length > 0 &&
  html`<form method="post" action="patient">
<input type="hidden" name="request" value="${request}">
<ul>${found.map(
    (one) => html`<li><button name="patient" value="${one.id}">
<strong>${one.name}</strong> <span>${one.birthDate}</span> <span>${one.number}</span></button></li>`,
  )}</ul>
</form>`
}`,
  );

export interface ConsentPage extends PageOf {
  readonly person: string;
  readonly patient: string | null;
  readonly rights: readonly string[];
}

export const consentPage = ({ request, app, person, patient, rights }: ConsentPage): string =>
  page(
    'Allow this app?',
    html`<p><strong>${app}</strong> asks to act for you, ${person}${patient !== null && html`, with the patient <strong>${patient}</strong>`}. It may then:</p>
<ul>${rights.map((right) => html`<li>${right}</li>`)}</ul>
<form method="post" action="approve">
<input type="hidden" name="request" value="${request}">
<button name="decision" value="allow">Allow</button>
<button name="decision" value="refuse" class="second">Refuse</button>
</form>`,
  );

export const faultPage = (text: string): string =>
  page('This does not work', html`<p role="alert">${text}</p>`);

/** Of all these pages: dark, as the page is that they lead to. Who reads in a dark room is not to be dazzled on the way. */
export const STYLE = `:root { color-scheme: dark; font: 1.05rem/1.5 system-ui, sans-serif; background: #0a0c0e; color: #e9edf0; }
:focus-visible { outline: 3px solid #fff; outline-offset: 2px; }
a { color: inherit; }
input, button, .button { color: inherit; background: #1b2229; border: 1px solid #7d8892; border-radius: 6px; }
body { margin: 0; display: grid; min-height: 100vh; place-items: center; }
main { width: min(30rem, calc(100vw - 2rem)); padding: 1rem 0; }
h1 { font-size: 1.5rem; }
form { display: grid; gap: 1rem; margin: 1rem 0; }
label { display: grid; gap: 0.25rem; }
input { font: inherit; padding: 0.5rem; }
button, .button { font: inherit; padding: 0.6rem 1rem; cursor: pointer; text-align: start; }
ul { padding-inline-start: 1.2rem; overflow-wrap: anywhere; }
form ul { list-style: none; padding: 0; display: grid; gap: 0.5rem; margin: 0; }
form ul button { width: 100%; }
[role="alert"] { border-inline-start: 4px solid #ffb84d; padding-inline-start: 0.75rem; }
`;
