function e(n){return n==="."||n===".."?`/events?event=${n}`:`/events/${encodeURIComponent(n)}`}export{e as a};
