/** Reading server-sent events as they come. */
import { request } from 'node:http';

export interface Followed {
  // biome-ignore lint/suspicious/noExplicitAny: what tests look into is any JSON
  events(): { id: string; event: string; data: any }[];
  /** Whether the server has ended it. */
  ended(): boolean;
  stop(): void;
}

/** Reads events as they come; resolves when the answer has begun. */
export function follow(url: string, headers: Record<string, string> = {}): Promise<Followed> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { headers }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (some: string) => {
        text += some;
      });
      let ended = false;
      answer.on('end', () => {
        ended = true;
      });
      answer.on('error', () => undefined);
      const events = () =>
        text
          .split('\n\n')
          .slice(0, -1)
          .filter((block) => !block.startsWith(':'))
          .map((block) => Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s, 2))))
          .map(({ id, event, data }) => ({ id, event, data: JSON.parse(data) }));
      resolve({ events, ended: () => ended, stop: () => asked.destroy() });
    });
    asked.on('error', reject).end();
  });
}
