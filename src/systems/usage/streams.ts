/** The streams of usage, checked like those that users declare. */
import { defineStream } from '../../engine/stream.ts';
import { plansDeclaration, subscriptionsDeclaration, usageDeclaration } from './declarations.ts';

export const usageStream = defineStream('usage', usageDeclaration);
export const plansStream = defineStream('plans', plansDeclaration);
export const subscriptionsStream = defineStream('subscriptions', subscriptionsDeclaration);
