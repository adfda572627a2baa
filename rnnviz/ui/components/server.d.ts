// The types of server.js, which has none of its own yet.

export function served(): URL;
export function runs(): boolean;
export function isAway(): boolean;
