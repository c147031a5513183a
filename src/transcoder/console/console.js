"use strict";

// The server makes the page; this only asks for it again, and puts in what has changed.
const EVERY = 1000;

const isBusy = () => document.hidden || !getSelection().isCollapsed;

const again = () => {
  const live = document.getElementById("live");
  if (!live) return;
  if (isBusy()) {
    setTimeout(again, EVERY);
    return;
  }
  const request = new XMLHttpRequest();
  request.open("GET", location.href);
  request.responseType = "document";
  request.timeout = 5000;
  request.onloadend = () => {
    const fresh = request.status === 200 && request.response?.getElementById("live");
    if (fresh && !isBusy()) live.replaceWith(document.adoptNode(fresh));
    document.body.classList.toggle("stale", !fresh);
    setTimeout(again, EVERY);
  };
  request.send();
};

setTimeout(again, EVERY);
