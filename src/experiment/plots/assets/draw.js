// Draws each chart from the JSON beside it.
for (const spec of document.querySelectorAll('script.spec')) {
  const place = document.getElementById(spec.dataset.chart);
  const options = {
    ast: true,
    renderer: 'svg',
    actions: { export: true, source: false, compiled: false, editor: false },
  };
  vegaEmbed(place, JSON.parse(spec.textContent), options).catch((error) => {
    place.className = 'failed';
    place.textContent = 'This chart cannot be drawn: ' + error.message;
  });
}
