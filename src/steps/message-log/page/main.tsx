import { render } from 'preact';
import { App } from './app.tsx';
import { takeTokenFromAddress } from './session.ts';

// First of all: a token must not stay in the address bar, where it is seen, copied and kept in the history.
takeTokenFromAddress();

const page = document.getElementById('page');
if (page) render(<App />, page);
