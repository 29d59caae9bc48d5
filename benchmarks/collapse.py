"""Do words of one kind fall together? A text tower that never learnt a kind of words gives all of them one vector, and
all of them find one picture. For ten kinds of ten words each, in two languages, over the pictures of a library:

    python -m benchmarks.collapse --library DIR [--models lite]

alike: mean cosine between two of a kind's ten. found: different pictures that come first for them. pairs: of its ten,
for how many the other language's word for it is the nearest of the other language's hundred. hub: most of the hundred
that one picture comes first for.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from data.settings import load
from data.store.lance import open_reader
from models.registry import load as load_models

MOST = 20_000  # pictures of the library
KINDS = {
    "furniture": "sofa=沙发;wooden chair=木椅;bookshelf=书架;bed=床;desk lamp=台灯;wardrobe=衣柜;coffee table=茶几;"
    "stool=凳子;mirror=镜子;curtain=窗帘",
    "products": "running shoes=跑鞋;wristwatch=手表;backpack=背包;headphones=耳机;sunglasses=太阳镜;coffee mug=咖啡杯;"
    "laptop=笔记本电脑;lipstick=口红;umbrella=雨伞;toy robot=玩具机器人",
    "actions": "running=跑步;swimming=游泳;cooking=做饭;dancing=跳舞;reading a book=看书;sleeping=睡觉;climbing=攀爬;"
    "shaking hands=握手;playing guitar=弹吉他;driving=开车",
    "animals": "otter=水獭;elephant=大象;parrot=鹦鹉;shark=鲨鱼;spider=蜘蛛;horse=马;penguin=企鹅;snake=蛇;frog=青蛙;"
    "tiger=老虎",
    "places": "beach=海滩;desert=沙漠;airport=机场;kitchen=厨房;library=图书馆;mountain=高山;church=教堂;"
    "train station=火车站;forest=森林;office=办公室",
    "weather": "snow=下雪;fog=大雾;thunderstorm=雷暴;rainbow=彩虹;sunny day=晴天;strong wind=大风;rain=下雨;"
    "sunset=日落;frost=霜;cloudy sky=多云的天空",
    "vehicles": "bicycle=自行车;fire truck=消防车;sailing boat=帆船;helicopter=直升机;tractor=拖拉机;motorcycle=摩托车;"
    "train=火车;rocket=火箭;taxi=出租车;submarine=潜水艇",
    "food": "pizza=披萨;strawberries=草莓;noodles=面条;birthday cake=生日蛋糕;fried egg=煎蛋;salad=沙拉;"
    "ice cream=冰淇淋;bread=面包;sushi=寿司;grapes=葡萄",
    "text": "a page of text=一页文字;handwriting=手写字;a street sign=路牌;a newspaper=报纸;a bar chart=柱状图;"
    "a map=地图;subtitles=字幕;a receipt=收据;a bar code=条形码;source code=源代码",
    "abstract": "happiness=快乐;loneliness=孤独;danger=危险;peace=和平;chaos=混乱;speed=速度;wealth=财富;love=爱;"
    "silence=寂静;freedom=自由",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--models", default="lite")
    arguments = parser.parse_args()
    settings = load(library=arguments.library, models=arguments.models)
    joint = load_models(arguments.models, settings).joint
    pairs = [tuple(pair.split("=")) for line in KINDS.values() for pair in line.split(";")]
    with open_reader(arguments.library) as store:
        pictures = store.sample_vectors("joint", MOST)
    both = [joint.embed_texts([pair[side] for pair in pairs]) for side in (0, 1)]
    across = both[0] @ both[1].T
    print(f"{len(pictures)} pictures\nkind, alike en, zh; found en, zh; pairs en to zh, zh to en")
    for at, kind in enumerate(KINDS):
        rows = slice(10 * at, 10 * at + 10)
        own = np.arange(rows.start, rows.stop)
        alike = [((some := vectors[rows]) @ some.T).sum() / 90 - 10 / 90 for vectors in both]
        found = [len(set((vectors[rows] @ pictures.T).argmax(axis=1).tolist())) for vectors in both]
        matched = [int((way[rows].argmax(axis=1) == own).sum()) for way in (across, across.T)]
        print(f"{kind}, {alike[0]:.2f}, {alike[1]:.2f}; {found[0]}, {found[1]}; {matched[0]}, {matched[1]}")
    hubs = [Counter((vectors @ pictures.T).argmax(axis=1).tolist()).most_common(1)[0][1] for vectors in both]
    print(f"hub en {hubs[0]}, zh {hubs[1]} of {len(pairs)}")


if __name__ == "__main__":
    main()
