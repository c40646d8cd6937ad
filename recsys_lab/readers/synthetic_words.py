"""The vocabulary of the planted catalogue: departments, heads of categories, kinds, brands."""

# department -> heads; every head is a category of the second level
DEPARTMENTS = {
    "Kitchen & Dining": "Grinder Kettle Skillet Teapot Mixer Toaster",
    "Garden & Patio": "Trowel Planter Hose Rake Lantern Trellis",
    "Sports & Outdoors": "Tent Backpack Bottle Helmet Stove Hammock",
    "Office Products": "Stapler Notebook Lamp Organizer Pen Easel",
    "Home & Décor": "Vase Cushion Mirror Clock Rug Candle",
    "Musical Instruments": "Guitar Drum Flute Tuner Stand Keyboard",
    "Toys & Games": "Puzzle Robot Kite Train Doll Marble",
    "Tools & Workshop": "Hammer Drill Wrench Sander Clamp Level",
}
KINDS = "Travel Classic Studio Junior Professional Vintage Folding Miniature"  # third level
ADJECTIVES = (
    "Compact Sturdy Elegant Portable Quiet Bright Slim Rugged Handmade Lightweight Deluxe Modern "
    "Rustic Adjustable Stackable Polished Everyday Premium Simple Weatherproof"
)
MATERIALS = (
    "Titanium Oak Bamboo Steel Ceramic Copper Walnut Leather Glass Canvas Aluminium Cork Marble "
    "Brass Maple Linen"
)
# brand = beginning + middle + end
BEGINNINGS = "Nor Bel Kar Val Tor Mer Lin Hal Ost Fen Gar Dun Sol Rav Tam Win Bor Cal Ell Jor"
MIDDLES = "de la mi ro ve sti na go bri cu ta li ne wo fa ri do se pa mo"
ENDS = "n nd ra x lle rton na k sson wick field ton mark vik berg ssa ly ris que dale"
# appended to a few brands as the crawls show them, escaped once or twice
ENTITIES = (" &amp; Co.", "&#174;", "&amp;reg;")
