-- Facts about the store itself: name, value.
SELECT name, value FROM meta ORDER BY name;
