import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import './style.css';
import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClientProvider } from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';
import { queryClient } from './api.ts';
import { Frame } from './frame.tsx';
import { takeKeyFromAddress } from './key.ts';
import { theme } from './theme.ts';

takeKeyFromAddress();

/** With it the styles that are made while the page runs pass the content security policy. */
const nonce = document.querySelector('meta[name="style-nonce"]')?.getAttribute('content') ?? '';
// Where the package that keeps the page from scrolling behind a drawer looks for it.
Object.assign(globalThis, { __webpack_nonce__: nonce });

createRoot(document.querySelector('#root')!).render(
  <MantineProvider
    theme={theme}
    defaultColorScheme="auto"
    colorSchemeManager={localStorageColorSchemeManager({ key: 'tallybook.scheme' })}
    getStyleNonce={() => nonce}
  >
    <QueryClientProvider client={queryClient}>
      <Notifications position="bottom-right" />
      <Frame />
    </QueryClientProvider>
  </MantineProvider>,
);
